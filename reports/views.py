"""The dashboard's overview and reports."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import chain
from typing import Any

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from accounts.billing.credit import amount_of
from accounts.choices import Scope
from accounts.dashboard.decorators import MemberRequest, allowed, current_account, current_mode
from accounts.security import audit
from campaigns.models.tally import COUNTED_STATUSES
from reports import selectors
from reports.forms import USUAL, SpanForm
from reports.selectors import overview as figures_of
from smsapp.core import clock
from smsapp.lib.csv_safety import BYTE_ORDER_MARK, attachment, csv_line

DAYS = 30
#: What a day's bar is made of, from the bottom: (series, its name, statuses).
SERIES = (
    ("delivered", _("Delivered"), ("delivered",)),
    ("sent", _("On the way"), ("sent", "unknown", "queued")),
    ("undelivered", _("Not delivered"), ("undelivered", "rejected", "unconfirmed")),
    ("failed", _("Never handed over"), ("failed", "expired", "suppressed", "cancelled")),
)


@allowed(Scope.CAMPAIGNS_READ)
@require_GET
def overview(request: MemberRequest) -> HttpResponse:
    account, mode, today = current_account(request), current_mode(request), clock.about_now().date()
    since = today - timedelta(days=DAYS - 1)
    days = selectors.daily(account, mode, since, today)
    campaigns = figures_of.going_on(account, mode)
    context = {
        "spans": figures_of.spans(account, mode, today),
        "days": _table(days),
        "chart": _chart(days),
        "campaigns": [(campaign, selectors.campaign_progress(campaign, with_rate=False)) for campaign in campaigns],
        **_delivery_times(figures_of.deliveries(account, mode)),
        "countries": figures_of.countries_of(account, mode, since),
        "problems": figures_of.problems(account, mode, campaigns),
        "balance": amount_of(account.balance_micro) if account.is_metered else None,
        "is_new": not any(figures.messages for figures in days.values()) and not campaigns,
    }
    context["days_left"] = _days_left(context)
    return render(request, "reports/overview.html", context)


@allowed(Scope.MESSAGES_READ)
@require_GET
def reports(request: MemberRequest) -> HttpResponse:
    account, mode, form = current_account(request), current_mode(request), SpanForm(request.GET or {"days": USUAL})
    today = clock.about_now().date()
    since = today - timedelta(days=form.length - 1)
    days = selectors.daily(account, mode, since, today)
    whole = selectors.total(days.values())
    context = {
        "form": form,
        "length": form.length,
        "days": _table(days),
        "chart": _chart(days),
        "whole": whole,
        "sent": figures_of.handed_over(whole),
        "failed": figures_of.failed(whole),
        "percent": figures_of.delivered_percent(whole),
        "spent": figures_of.spent(whole) if account.is_metered else None,
        "shares": [
            (_("By sender"), _("Default sender"), _shares(selectors.shares(account, mode, since, "sender_id"))),
            (_("By gateway"), _("None yet"), _shares(selectors.shares(account, mode, since, "gateway"))),
        ],
        "largest": [
            (campaign, selectors.campaign_progress(campaign, with_rate=False))
            for campaign in figures_of.largest(account, mode, since)
        ],
        "countries": figures_of.countries_of(account, mode, since),
        **_delivery_times(figures_of.deliveries(account, mode)),
    }
    return render(request, "reports/reports.html", context)


@allowed(Scope.MESSAGES_READ)
@require_GET
def days_csv(request: MemberRequest) -> HttpResponseBase:
    """The days of a span by status, as the plots show them."""
    account, mode, form = current_account(request), current_mode(request), SpanForm(request.GET or {"days": USUAL})
    today = clock.about_now().date()
    days = selectors.daily(account, mode, today - timedelta(days=form.length - 1), today)
    return _as_csv(
        request, f"days-{today}.csv", ["day", "messages", *COUNTED_STATUSES, "segments", "spent"], _lines(days)
    )


@allowed(Scope.MESSAGES_READ)
@require_GET
def countries_csv(request: MemberRequest) -> HttpResponseBase:
    """All countries of a span."""
    account, mode, form = current_account(request), current_mode(request), SpanForm(request.GET)
    today = clock.about_now().date()
    counted = selectors.messages_by_country(account, mode, today - timedelta(days=form.length - 1))
    return _as_csv(request, f"countries-{today}.csv", ["country", "messages"], counted)


@allowed(Scope.MESSAGES_READ)
@require_GET
def times_csv(request: MemberRequest) -> HttpResponseBase:
    """How long the newest delivered messages took."""
    found = figures_of.deliveries(current_account(request), current_mode(request))
    rows = found.spread if found else []
    return _as_csv(request, f"times-{clock.about_now().date()}.csv", ["seconds to deliver", "messages"], rows)


def _as_csv(
    request: MemberRequest, name: str, heads: Sequence[str], rows: Iterable[Sequence[object]]
) -> HttpResponseBase:
    audit.record(
        "report.exported", account=current_account(request), by=request.user, target_type="report", target_id=name
    )
    lines = (csv_line(row) for row in rows)
    answer = StreamingHttpResponse(
        chain([BYTE_ORDER_MARK + csv_line(heads)], lines), content_type="text/csv; charset=utf-8"
    )
    answer.headers["Content-Disposition"] = attachment(name)
    return answer


def _delivery_times(found: figures_of.Deliveries | None) -> dict[str, Any]:
    """For the page, and for charts.js."""
    if found is None:
        return {"deliveries": None}
    labels, values = zip(*found.spread, strict=True)
    return {"deliveries": found, "times": {"labels": labels, "values": values, "name": str(_("Messages"))}}


def _lines(days: Mapping[date, selectors.Figures]) -> Iterator[Sequence[object]]:
    for day, figures in days.items():
        counts = [figures.tally[status] for status in COUNTED_STATUSES]
        yield [day, figures.messages, *counts, figures.segments, amount_of(figures.spent_micro)]


def _table(days: Mapping[date, selectors.Figures]) -> list[dict[str, Any]]:
    """Days on which there was something, the newest first."""
    return [
        {
            "day": day,
            "messages": figures.messages,
            "delivered": figures.tally["delivered"],
            "failed": figures_of.failed(figures),
            "percent": figures_of.delivered_percent(figures),
            "segments": figures.segments,
            "spent": figures_of.spent(figures),
        }
        for day, figures in sorted(days.items(), reverse=True)
        if figures.messages
    ]


def _shares(shares: Sequence[tuple[str, selectors.Figures]]) -> list[dict[str, Any]]:
    """By sender or gateway: what was handed over, and what became of it."""
    return [
        {
            "name": name,
            "sent": figures_of.handed_over(figures),
            "percent": figures_of.delivered_percent(figures),
            "failed": figures_of.failed(figures),
            "segments": figures.segments,
            "spent": figures_of.spent(figures),
        }
        for name, figures in shares
        if figures_of.handed_over(figures) or figures_of.failed(figures)
    ]


def _chart(days: Mapping[date, selectors.Figures]) -> dict[str, Any]:
    """For charts.js: labels, stacked counts and the delivery rate in percent, None on days without messages."""
    return {
        "labels": [day.isoformat() for day in days],
        "series": {
            name: [sum(figures.tally[status] for status in statuses) for figures in days.values()]
            for name, _label, statuses in SERIES
        },
        "names": {name: str(label) for name, label, _statuses in SERIES},
        "rate": [
            None if (percent := figures_of.delivered_percent(figures)) is None else round(percent, 1)
            for figures in days.values()
        ],
    }


def _days_left(context: Mapping[str, Any]) -> int | None:
    """At the pace of the last seven days."""
    week = context["spans"][1].spend
    if context["balance"] is None or not week or week.now <= 0:
        return None
    return int(float(context["balance"]) / (week.now / 7))
