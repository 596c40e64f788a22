"""The statuses that the API shows, in capitals: what each means, and which are final.

Keys are words of the API; services store the same words in small letters, `queued` for PENDING.
"""

from typing import Any, NamedTuple

from rest_framework import serializers


class Status(NamedTuple):
    meaning: str
    is_final: bool = False


class Statuses(dict[str, Status]):
    """By word, in the order in which they come."""

    @property
    def choices(self) -> list[tuple[str, str]]:
        return [(word, status.meaning) for word, status in self.items()]


MESSAGE = Statuses(
    {
        "PENDING": Status("Accepted; not handed over to a provider yet."),
        "SENT": Status("The provider has it; its final report is awaited."),
        "UNKNOWN": Status("The provider's answer was lost; what became of it is being looked up."),
        "DELIVERED": Status("It reached the handset.", True),
        "UNDELIVERED": Status(
            "The provider or operator could not deliver it. A later proof may make it DELIVERED.", True
        ),
        "REJECTED": Status("The provider refused it.", True),
        "FAILED": Status("Given up before it was handed over.", True),
        "EXPIRED": Status("Not handed over before `valid_until`.", True),
        "CANCELLED": Status("Its campaign was cancelled before it was handed over.", True),
        "SUPPRESSED": Status("The recipient has opted out.", True),
        "UNCONFIRMED": Status("Closed without proof of what became of it. A later proof may correct it.", True),
    }
)
CAMPAIGN = Statuses(
    {
        "DRAFT": Status("Nothing is sent before it is launched."),
        "AWAITING_APPROVAL": Status("A second person has to approve it."),
        "SCHEDULED": Status("It starts at `schedule_time`."),
        "RUNNING": Status("Its messages are being handed over."),
        "PAUSED": Status("Nothing is handed over; `pause_reason` says why."),
        "MISSED": Status("Its time passed before it could start. It can be resumed."),
        "COMPLETED": Status("Nothing is left to hand over; reports may still come until `closed_at`.", True),
        "CANCELLED": Status("Stopped for good.", True),
        "FAILED": Status("It could not be carried out; `status_detail` says why.", True),
    }
)
CANARY = Statuses(
    {
        "SENDING": Status("The first messages are being sent."),
        "WAITING": Status("Delivery reports on the first messages are awaited."),
        "PASSED": Status("Enough of the first messages were delivered; the others follow.", True),
        "FAILED": Status("Too few of the first messages were delivered; the campaign is paused.", True),
    }
)
RECURRING = Statuses(
    {
        "ACTIVE": Status("It makes a campaign at each of its times."),
        "PAUSED": Status("It makes no campaigns; `detail` says why, unless you paused it."),
        "ENDED": Status("It makes no more campaigns.", True),
    }
)
UPLOAD = Statuses(
    {
        "UPLOADED": Status("The file is stored and will be read."),
        "PROCESSING": Status("The file is being read."),
        "READY": Status("You can send to its numbers."),
        "FAILED": Status("It could not be read; `failure_reason` says why.", True),
        "RETIRED": Status("Its numbers were deleted at the end of their retention.", True),
    }
)
SENDER = Statuses(
    {
        "PENDING": Status("An operator has to decide."),
        "APPROVED": Status("It can be used."),
        "REJECTED": Status("It cannot be used; `note` may say why."),
    }
)
DELIVERY = Statuses(
    {
        "WAITING": Status("It is delivered at `next_attempt_at`."),
        "DELIVERED": Status("Your server answered 2xx."),
        "FAILED": Status("Its last attempt failed; it can be replayed."),
    }
)
HEALTH = Statuses(
    {
        "OK": Status("Messages are accepted and sent."),
        "DEGRADED": Status(
            "Messages are accepted and kept. They are sent once broker and workers are back and the hold is released."
        ),
    }
)

#: Title of its table in the guide, where it stands in answers, and its statuses.
TABLES: tuple[tuple[str, Statuses], ...] = (
    ("A message", MESSAGE),
    ("A campaign", CAMPAIGN),
    ("The canary of a campaign (`canary_status`)", CANARY),
    ("A recurring campaign", RECURRING),
    ("An upload", UPLOAD),
    ("A sender", SENDER),
    ("A webhook delivery", DELIVERY),
)


class StatusCounts(serializers.Serializer[Any]):
    """Messages by what has become of them so far."""

    def get_fields(self) -> dict[str, "serializers.Field[Any, Any, Any, Any]"]:
        return {word.lower(): serializers.IntegerField(help_text=status.meaning) for word, status in MESSAGE.items()}
