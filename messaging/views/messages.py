"""The dashboard's search of messages, and the page of one: why it came as it came."""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Prefetch, prefetch_related_objects
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from accounts.choices import Scope
from accounts.dashboard.decorators import MemberRequest, allowed, current_account, current_mode, may, require_mode
from accounts.models import WebhookDelivery
from accounts.webhooks.history import deliveries_about
from messaging.choices import MessageStatus
from messaging.forms.send import SearchForm, day_start
from messaging.ids import parse_public_id
from messaging.models import Message
from messaging.outcomes.message_prices import prices_of
from reports import selectors
from reports.selectors.message_search import MessageFilter, message_list
from reports.selectors.send_filter import SendFilter
from uploads.models import Audience

PAGE = 50


@allowed(Scope.MESSAGES_READ)
@require_GET
def search(request: MemberRequest) -> HttpResponse:
    """By number in any format, state, campaign and day; newest first, by keyset."""
    account, mode = current_account(request), current_mode(request)
    form = SearchForm(account, mode, request.GET)
    context = {"form": form, "rows": [], "next_before": None}
    if form.is_valid():
        data = form.cleaned_data
        wanted = MessageFilter(
            SendFilter(bulk_id=data["campaign"]),
            statuses=data["status"],
            phone_number=data["number"],
            made_after=day_start(data["since"]),
            made_before=day_start(data["until"], days_on=1),
        )
        found = message_list(account, mode, wanted, data["before"], PAGE)
        prefetch_related_objects(found.rows, "campaign")
        context |= {
            "rows": [(row, MessageStatus(row.status).label) for row in found.rows],
            "next_before": found.next,
            "is_first_page": not data["before"],
            "is_narrowed": any(data[name] for name in ("number", "status", "campaign", "since", "until")),
        }
    query = request.GET.copy()
    query.pop("before", None)
    return render(request, "messaging/search.html", context | {"query": query.urlencode()})


@allowed(Scope.MESSAGES_READ)
@require_GET
def detail(request: MemberRequest, message_id: str) -> HttpResponse:
    message_pk = parse_public_id(message_id)
    if message_pk is None:
        raise Http404
    owned = Message.objects.filter(campaign__account=current_account(request))
    # A statement of its own: to plan a join of them all takes longer than to ask twice.
    audience = Prefetch("campaign__audience", Audience.objects.select_related("upload"))
    message = get_object_or_404(owned.select_related("campaign").prefetch_related(audience), pk=message_pk)
    require_mode(request, message.campaign.mode)
    timeline, price = selectors.message_timeline(message), prices_of([message])[message.pk]
    context = {
        "message": message,
        "campaign": message.campaign,
        "status": MessageStatus(message.status).label,
        "timeline": timeline,
        "advice": selectors.advice(message),
        "price": None if price is None else f"{price.normalize():f}",
        "webhooks": _webhooks(request, message, [entry.at for entry in timeline]),
    }
    return render(request, "messaging/message.html", context)


def _webhooks(request: MemberRequest, message: Message, moments: Sequence[datetime]) -> list[WebhookDelivery]:
    """What was told of it, for who may see that."""
    if not may(request.membership, Scope.WEBHOOKS_READ):
        return []
    account, times = current_account(request), {*moments, *filter(None, (message.sent_at, message.done_at))}
    return deliveries_about(account, message.campaign.mode, message.message_id, sorted(times))
