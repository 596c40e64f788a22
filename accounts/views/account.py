"""The dashboard's pages of an account: senders, usage and credit, team, settings."""

from datetime import timedelta

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import senders as sender_services
from accounts.access import invitations
from accounts.access import members as team_services
from accounts.billing.credit import amount_of
from accounts.choices import Role, Scope
from accounts.dashboard.decorators import MemberRequest, allowed, current_account, current_mode, may
from accounts.dashboard.workspace import site_url
from accounts.forms.dashboard import SenderForm, SettingsForm
from accounts.forms.people import MemberForm, RoleForm
from accounts.models import AuditEvent, DailyUse, Invitation, LedgerEntry, Membership, SenderId
from accounts.services import change_account
from campaigns.models import Campaign
from reports import selectors
from smsapp.core import clock
from smsapp.core.exceptions import NotFound, SmsappError
from smsapp.dashboard.pagination import page_of

DAYS = 30
EVENTS_SHOWN = 30


@allowed(Scope.ACCOUNT_READ)
@require_http_methods(["GET", "POST"])
def senders(request: MemberRequest) -> HttpResponse:
    """All of the account's; POST asks for one."""
    account = current_account(request)
    form = SenderForm(request.POST or None)
    if request.method == "POST":
        _require(request, Scope.ACCOUNT_WRITE)
        if form.is_valid():
            try:
                sender_services.request_sender(account, form.cleaned_data["sender_id"].strip(), request.user)
            except SmsappError as error:
                form.refuse(error)
            else:
                messages.success(request, _("An operator reviews it."))
                return redirect("senders")
    rows = SenderId.objects.filter(account=account).order_by("value")
    context = {"rows": rows, "form": form, "may_write": may(request.membership, Scope.ACCOUNT_WRITE)}
    return render(request, "accounts/senders.html", context)


@allowed(Scope.ACCOUNT_WRITE)
@require_POST
def sender_withdraw(request: MemberRequest, sender_pk: int) -> HttpResponse:
    try:
        sender_services.withdraw_sender(current_account(request), sender_pk, request.user)
    except SmsappError as error:
        messages.error(request, error.message)
    return redirect("senders")


@allowed(Scope.ACCOUNT_READ)
@require_GET
def usage(request: MemberRequest) -> HttpResponse:
    """What was sent, by day; the balance, and every movement of it."""
    account, today = current_account(request), clock.about_now().date()
    page = page_of(request, LedgerEntry.objects.filter(account=account).select_related("user"))
    names = Campaign.objects.in_bulk({entry.campaign_id for entry in page["rows"] if entry.campaign_id})
    days = selectors.daily(account, current_mode(request), today - timedelta(days=DAYS - 1), today)
    used = DailyUse.objects.filter(account=account, day=today).first()
    context = page | {
        "balance": amount_of(account.balance_micro),
        "reserved": amount_of(account.reserved_micro),
        "days": [(day, figures) for day, figures in reversed(days.items()) if figures.messages],
        "total": selectors.total(days.values()),
        "used_today": used.message_count if used else 0,
        "entries": [
            (entry, amount_of(entry.amount_micro), amount_of(entry.balance_micro), names.get(entry.campaign_id))
            for entry in page["rows"]
        ],
    }
    return render(request, "accounts/usage.html", context)


@allowed(Scope.ACCOUNT_READ)
@require_http_methods(["GET", "POST"])
def team(request: MemberRequest) -> HttpResponse:
    """Who belongs to the account and who is invited; POST invites somebody."""
    form, invited, link = MemberForm(request.POST or None), None, ""
    if request.method == "POST" and form.is_valid():
        try:
            invited, secret = invitations.invite(
                request.membership, form.cleaned_data["email"], Role(form.cleaned_data["role"])
            )
        except SmsappError as error:
            form.refuse(error)
        else:
            link = request.build_absolute_uri(site_url("invitation", secret))
            form = MemberForm()
    account, manages = current_account(request), team_services.manages(request.membership)
    open_ones = Invitation.objects.filter(account=account, expires_at__gt=clock.about_now())
    context = {
        "members": Membership.objects.filter(account=account).select_related("user").order_by("pk"),
        "invitations": open_ones.select_related("invited_by").order_by("pk") if manages else [],
        "form": form,
        "roles": Role.choices,
        "manages": manages,
        "invited": invited,
        "invitation": link,
    }
    return render(request, "accounts/team.html", context)


@allowed(Scope.ACCOUNT_READ)
@require_POST
def invitation_withdraw(request: MemberRequest, invitation_pk: int) -> HttpResponse:
    try:
        invitations.withdraw(request.membership, invitation_pk)
        messages.success(request, _("The invitation is withdrawn."))
    except NotFound as error:
        raise Http404 from error
    except SmsappError as error:
        messages.error(request, error.message)
    return redirect("team")


@allowed(Scope.ACCOUNT_READ)
@require_POST
def team_change(request: MemberRequest, membership_pk: int) -> HttpResponse:
    """Another role, or out."""
    member = get_object_or_404(Membership, pk=membership_pk, account=current_account(request))
    try:
        if request.POST.get("act") == "remove":
            team_services.remove_member(member, request.membership)
            messages.success(request, _("%(name)s is no longer a member of the account.") % {"name": member.user})
        else:
            form = RoleForm(request.POST)
            if not form.is_valid():
                raise Http404
            team_services.change_role(member, request.membership, Role(form.cleaned_data["role"]))
            messages.success(request, _("The role of %(name)s was changed.") % {"name": member.user})
    except SmsappError as error:
        messages.error(request, error.message)
    return redirect("team" if member.user_id != request.user.pk else "overview")


@allowed(Scope.ACCOUNT_READ)
@require_http_methods(["GET", "POST"])
def account_settings(request: MemberRequest) -> HttpResponse:
    account, manages = current_account(request), team_services.manages(request.membership)
    form = SettingsForm(account, request.POST or None)
    if request.method == "POST":
        if not manages:
            raise PermissionDenied
        if form.is_valid():
            change_account(account, request.user, form.cleaned_data)
            messages.success(request, _("Saved."))
            return redirect("account-settings")
    if not manages:
        for field in form.fields.values():
            field.disabled = True
    events = AuditEvent.objects.filter(account=account).select_related("user").order_by("-id")[:EVENTS_SHOWN]
    return render(request, "accounts/settings.html", {"form": form, "manages": manages, "events": events})


def _require(request: MemberRequest, scope: Scope) -> None:
    if not may(request.membership, scope):
        raise PermissionDenied
