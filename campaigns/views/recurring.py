"""Recurring campaigns in the dashboard: the list, one of them, and what a person may do with it."""

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.choices import Mode, Scope
from accounts.dashboard.decorators import MemberRequest, allowed, current_account, current_mode, require_mode
from campaigns.choices import RecurringStatus
from campaigns.forms.recurring import RecurringForm
from campaigns.forms.rule import rule_initial, rule_words
from campaigns.models import RecurringCampaign
from campaigns.scheduling.recurring import change_recurring, end, next_moments, pause, recurring_of, resume
from campaigns.scheduling.rule import Rule
from campaigns.views.preview import composed_for
from smsapp.core.exceptions import NotFound, SmsappError
from smsapp.dashboard.forms import wall_time
from smsapp.lib.text import normalise
from uploads.models import Upload
from uploads.samples import Sample, sample_of, sample_of_list

MOST_SHOWN = 100
NEXT_RUNS = 5
RUNS_SHOWN = 20
ACTS = {"pause": pause, "resume": resume, "end": end}


@allowed(Scope.CAMPAIGNS_READ)
@require_GET
def listed(request: MemberRequest) -> HttpResponse:
    rows = RecurringCampaign.objects.filter(account=current_account(request), mode=current_mode(request))
    rows = rows.select_related("rule", "contact_list").order_by("-id")[:MOST_SHOWN]
    shown = [(row, rule_words(Rule.of(row.rule))) for row in rows]
    return render(request, "campaigns/recurring_list.html", {"rows": shown})


@allowed(Scope.CAMPAIGNS_READ)
@require_GET
def detail(request: MemberRequest, recurring_id: str) -> HttpResponse:
    row = _recurring(request, recurring_id)
    context = {
        "row": row,
        "rule": rule_words(Rule.of(row.rule)),
        "next_runs": next_moments(row, NEXT_RUNS),
        "runs": row.campaigns.order_by("-id")[:RUNS_SHOWN],
        "is_active": row.status == RecurringStatus.ACTIVE,
        "is_ended": row.status == RecurringStatus.ENDED,
    }
    return render(request, "campaigns/recurring.html", context)


@allowed(Scope.CAMPAIGNS_WRITE)
@require_POST
def act(request: MemberRequest, recurring_id: str, action: str) -> HttpResponse:
    """Pause, resume or end."""
    row = _recurring(request, recurring_id)
    try:
        changed = ACTS[action](row, request.user)
    except SmsappError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"{changed.get_status_display()}.")
    return redirect("recurring-detail", recurring_id=recurring_id)


@allowed(Scope.CAMPAIGNS_WRITE)
@require_http_methods(["GET", "POST"])
def edit(request: MemberRequest, recurring_id: str) -> HttpResponse:
    """Text, sender and times of what comes next; its recipients stay."""
    row = _recurring(request, recurring_id)
    if row.status == RecurringStatus.ENDED:
        return redirect("recurring-detail", recurring_id=recurring_id)
    form = RecurringForm(row.account, request.POST or None, initial=_initial(row))
    if request.method == "POST" and form.is_valid():
        try:
            change_recurring(
                row,
                request.user,
                form.changes() | {"message": normalise(form.cleaned_data["message"])},
                form.stated_rule(),
            )
        except SmsappError as error:
            form.refuse(error)
        else:
            messages.success(request, _("Changed. What has been sent stays as it was."))
            return redirect("recurring-detail", recurring_id=recurring_id)
    sample = _sample(row)
    context = {
        "row": row,
        "form": form,
        "sample": sample,
        "sender": form["sender_id"].value() or "",
        "upload": Upload.objects.filter(audience=row.audience_id).first() if row.audience_id else None,
    } | composed_for(row.account, sample, str(form["message"].value() or ""), 0)
    return render(request, "campaigns/recurring_edit.html", context)


def _initial(row: RecurringCampaign) -> dict[str, object]:
    names = ("name", "sender_id", "message", "quiet_from", "quiet_until", "valid_minutes")
    values = {name: getattr(row, name) for name in names}
    return values | rule_initial(rule := Rule.of(row.rule)) | {"ends_at": wall_time(row.ends_at, rule.timezone)}


def _sample(row: RecurringCampaign) -> Sample:
    if row.contact_list is not None:
        return sample_of_list(row.contact_list)
    return sample_of(row.audience) if row.audience is not None else Sample([], [], 0)


def _recurring(request: MemberRequest, recurring_id: str) -> RecurringCampaign:
    for mode in Mode:
        try:
            found = recurring_of(current_account(request), recurring_id, mode)
        except NotFound:
            continue
        require_mode(request, mode)
        return found
    raise Http404
