"""The dashboard's page for texting one person, or a few."""

import re
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from accounts.billing.shortfall import shortfall
from accounts.choices import Mode, Scope
from accounts.dashboard.decorators import MemberRequest, allowed, current_account, current_mode
from accounts.dashboard.once import once
from campaigns.choices import CampaignKind
from campaigns.models import MessageTemplate
from campaigns.texts.rendering import Template
from campaigns.validation import CampaignRequest
from messaging.forms.send import SendForm
from messaging.preflight.text_cost import compose, without_values
from messaging.restore import detection
from messaging.services import MAX_NUMBERS, send
from smsapp.core.context import current_request_id
from smsapp.core.exceptions import SmsappError
from smsapp.lib.text import MAX_TEXT_LENGTH, normalise

MAX_COMPOSED = 20 * MAX_TEXT_LENGTH  # characters that are looked at while somebody writes
MAX_TEMPLATES = 100  # that are offered


@allowed(Scope.MESSAGES_SEND)
@require_http_methods(["GET", "POST"])
def send_message(request: MemberRequest) -> HttpResponseBase:
    if request.method == "POST":
        detection.look_once()  # may call out, so ahead of the transaction
    return _page(request)


@once
def _page(request: MemberRequest) -> HttpResponse:
    account = current_account(request)
    form = SendForm(account, request.POST or None, initial=_initial(request))
    if request.method == "POST" and form.is_valid():
        done = _send(request, form)
        if done is not None:
            return done
    context = {
        "form": form,
        "templates": MessageTemplate.objects.filter(account=account).order_by("name")[:MAX_TEMPLATES],
        "sender": form["sender_id"].value() or "",
    } | _composed(request, str(form["message"].value() or ""), str(form["phone_numbers"].value() or ""))
    return render(request, "messaging/send.html", context)


@allowed(Scope.MESSAGES_SEND)
@require_POST
def composed(request: MemberRequest) -> HttpResponse:
    """The counter and the preview of the text as it stands."""
    text, sender = request.POST.get("message", "")[:MAX_COMPOSED], request.POST.get("sender_id", "")[:16]
    if request.POST.get("is_send"):
        context = _composed(request, text, request.POST.get("phone_numbers", ""))
    else:
        shown = without_values(text) if request.POST.get("is_campaign") else text
        context = {"composed": compose(current_account(request), shown)}
    return render(request, "messaging/_composed.html", context | {"sender": sender})


def _composed(request: MemberRequest, text: str, numbers: str) -> dict[str, Any]:
    """The text to send as it stands, what it costs to these numbers, which in test mode is nothing, and why it cannot
    be sent for want of credit."""
    account, mode = current_account(request), current_mode(request)
    priced = re.split(r"[,;\n]+", numbers)[:MAX_NUMBERS] if mode == Mode.LIVE else ()
    found = compose(account, text, priced)
    return {
        "composed": found,
        "as_written": Template(text).placeholders,
        "shortfall": shortfall(account, mode, found.price),
    }


def _initial(request: HttpRequest) -> dict[str, str]:
    """What a link to this page may carry: a number to answer, a text."""
    return {"phone_numbers": request.GET.get("to", "")[:40], "message": request.GET.get("text", "")[:MAX_TEXT_LENGTH]}


def _send(request: MemberRequest, form: SendForm) -> HttpResponse | None:
    """To the page that shows what becomes of it; None, with errors on the form, if it was refused."""
    data = form.cleaned_data
    wanted = CampaignRequest(
        kind=CampaignKind.SINGLE,
        message=normalise(data["message"]),
        sender_id=data["sender_id"],
        mode=current_mode(request),
        scheduled_at=data["scheduled_at"],
        request_id=current_request_id(),
    )
    try:
        sent = send(current_account(request), request.user, wanted, data["phone_numbers"])
    except SmsappError as error:
        form.refuse(error, schedule_time="at")
        return None
    count = len(sent.messages)
    if data["scheduled_at"]:
        words = ngettext("%d message waits for its time.", "%d messages wait for their time.", count) % count
    else:
        words = ngettext("%d message is on its way.", "%d messages are on their way.", count) % count
    progress = _("Its progress is shown below.")
    messages.success(request, f"{words} {progress}")
    return redirect("campaign-detail", bulk_id=sent.campaign.bulk_id)
