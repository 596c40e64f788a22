"""What somebody may do about a message, in a sentence."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from messaging.choices import MessageStatus, Reason
from messaging.models import Message

AGAIN = _("Send it again from the page of its campaign, or as a single message.")
BY_REASON: dict[str, Any] = {
    Reason.MISSING_VALUE: _("Give the placeholder a default, as in {name|there}, or fill the column in the file."),
    Reason.TEXT_TOO_LONG: _("Shorten the text, or the values that are filled in, and send it again."),
    Reason.EMPTY_TEXT: _("Write something around the placeholders, so that a text remains when values are empty."),
    Reason.OPTED_OUT: _("Nothing: this person wants no more messages. They can come back by texting START."),
    Reason.COUNTRY_BLOCKED: _("If you have business there, ask your operator to open the country for your account."),
    Reason.TOO_OFTEN: _("Wait until tomorrow: your account limits how many messages one person gets."),
    Reason.NO_ROUTE: _("Ask your operator for a gateway that reaches this country, then send it again."),
    Reason.TOO_LATE: _("If it still makes sense, send it again with a later end."),
    Reason.POISON: _("Your operator has been told and looks at it; it was not sent."),
    Reason.RECIPIENT_REFUSED: _("Check the number. The provider does not send to it."),
    Reason.SENDER_REFUSED: _("Choose another sender, or ask your operator whether this one is registered there."),
    Reason.CONTENT_REFUSED: _("Change the text: links and certain words are often what is refused."),
    Reason.PROVIDER_REFUSED: AGAIN,
    Reason.UNREACHABLE: _("The phone was off or out of reach for long. Send it again another day."),
    Reason.UNKNOWN_NUMBER: _("Check the number, and take it off your list if it is right."),
    Reason.NOT_DELIVERED: AGAIN,
}
BY_STATUS: dict[int, Any] = {
    MessageStatus.QUEUED: _("Nothing: it leaves when its turn comes."),
    MessageStatus.UNKNOWN: _("Nothing yet: it is being found out. Do not send it again, or it could arrive twice."),
    MessageStatus.SENT: _("Nothing: the delivery report usually comes within minutes, and is waited for."),
    MessageStatus.UNCONFIRMED: _("It may have arrived. Ask the recipient before you send it again."),
    MessageStatus.CANCELLED: AGAIN,
    MessageStatus.REJECTED: AGAIN,
    MessageStatus.UNDELIVERED: AGAIN,
}


def advice(message: Message) -> str:
    """Empty where there is nothing to say: it arrived."""
    by_reason = BY_REASON.get(message.reason)
    return str(by_reason or BY_STATUS.get(message.status, ""))
