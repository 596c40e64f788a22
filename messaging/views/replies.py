"""The dashboard's page of what handsets wrote."""

from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.choices import Scope
from accounts.dashboard.decorators import MemberRequest, allowed, current_account
from messaging.ids import public_id
from messaging.models import InboundMessage
from smsapp.dashboard.pagination import page_of


@allowed(Scope.MESSAGES_READ)
@require_GET
def inbox(request: MemberRequest) -> HttpResponse:
    """Newest first; of one number, its conversation."""
    number = request.GET.get("number", "")[:40]
    found = InboundMessage.objects.filter(account=current_account(request))
    page = page_of(request, found.filter(phone_number=number) if number else found)
    context = page | {
        "rows": [(row, public_id(row.reply_to) if row.reply_to else "") for row in page["rows"]],
        "number": number,
        "query": urlencode({"number": number}) if number else "",
    }
    return render(request, "messaging/inbox.html", context)
