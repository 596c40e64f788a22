"""The dashboard's pages for a customer's developers: keys, webhooks, the log of calls."""

from datetime import timedelta

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.access import api_keys
from accounts.choices import SCOPES_OF, EndpointKind, Mode, Role, Scope
from accounts.dashboard.decorators import MemberRequest, allowed, current_account, current_mode, may, require_mode
from accounts.dashboard.once import done, once, refused
from accounts.forms.dashboard import EndpointForm, KeyForm
from accounts.models import ApiUsageLog, WebhookDelivery, WebhookEndpoint
from accounts.webhooks import endpoints
from smsapp.core.exceptions import SmsappError
from smsapp.dashboard.pagination import page_of

TRIES_SHOWN = 20
OVERLAP = timedelta(hours=24)
MOST_KEYS = 200


@allowed(Scope.WEBHOOKS_READ)
@require_GET
def developers(request: MemberRequest) -> HttpResponse:
    """Keys, endpoints and the newest calls on one page."""
    account = current_account(request)
    sees_keys = may(request.membership, Scope.KEYS_READ)
    context = {
        "keys": api_keys.keys_of(_issuer(request)).order_by("-id")[:MOST_KEYS] if sees_keys else None,
        "endpoints": _endpoints(request).order_by("-id"),
        "calls": ApiUsageLog.objects.filter(account=account).order_by("-id")[:10],
        "may_write_keys": may(request.membership, Scope.KEYS_WRITE),
        "may_write_webhooks": may(request.membership, Scope.WEBHOOKS_WRITE),
    }
    return render(request, "accounts/developers.html", context)


@allowed(Scope.KEYS_WRITE)
@require_http_methods(["GET", "POST"])
@once
def key_new(request: MemberRequest) -> HttpResponse:
    """The key's text is on the answer of the POST, and nowhere else ever."""
    form = KeyForm(request.POST or None, initial={"scopes": [scope.value for scope in api_keys.DEFAULT_SCOPES]})
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            key, text = api_keys.issue_api_key(
                _issuer(request),
                data["name"],
                Mode(data["mode"]),
                scopes=[Scope(one) for one in data["scopes"]],
                allowed_networks=data["allowed_networks"],
                expires_at=form.expires_at,
            )
        except SmsappError as error:
            form.refuse(error, expires_at="expires_on")
        else:
            return _shown_once(request, _("Your new API key"), text, key.name)
    return render(request, "accounts/key.html", {"form": form})


@allowed(Scope.KEYS_WRITE)
@require_POST
@once
def key_act(request: MemberRequest, prefix: str, action: str) -> HttpResponse:
    """Rotate or revoke."""
    issuer = _issuer(request)
    try:
        if action == "rotate":
            key, text = api_keys.rotate_api_key(issuer, prefix, OVERLAP)
            return _shown_once(request, _("Your new API key (the old one works for another 24 hours)"), text, key.name)
        api_keys.revoke_api_key(api_keys.key_of(issuer, prefix), request.user)
        messages.success(request, _("The key is revoked and can no longer be used."))
    except SmsappError as error:
        messages.error(request, error.message)
        return refused(redirect("developers"))
    return redirect("developers")


@allowed(Scope.WEBHOOKS_WRITE)
@require_http_methods(["GET", "POST"])
def webhook_new(request: MemberRequest) -> HttpResponse:
    """The endpoint's secret is on the answer of the POST, and nowhere else ever."""
    form = EndpointForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        data = dict(form.cleaned_data)
        try:
            endpoint, secret = endpoints.create(
                current_account(request), current_mode(request), request.user, data.pop("url"), **data
            )
        except SmsappError as error:
            form.refuse(error)
        else:
            return _shown_once(request, _("Signing secret"), secret, endpoint.url)
    return render(request, "accounts/webhook_new.html", {"form": form})


@allowed(Scope.WEBHOOKS_READ)
@require_GET
def webhook(request: MemberRequest, endpoint_id: str) -> HttpResponse:
    """An endpoint with its deliveries, newest first."""
    endpoint = _endpoint(request, endpoint_id)
    context = page_of(request, endpoint.deliveries.defer("body")) | {
        "endpoint": endpoint,
        "may_write": may(request.membership, Scope.WEBHOOKS_WRITE),
    }
    return render(request, "accounts/webhook.html", context)


@allowed(Scope.WEBHOOKS_WRITE)
@require_POST
@once
def webhook_rotate(request: MemberRequest, endpoint_id: str) -> HttpResponse:
    """Another secret, which is on the answer and nowhere else ever."""
    try:
        changed, secret = endpoints.rotate_secret(_endpoint(request, endpoint_id), request.user)
    except SmsappError as error:
        messages.error(request, error.message)
        return refused(redirect("webhook-detail", endpoint_id=endpoint_id))
    return _shown_once(request, _("New signing secret (the old one also signs for 24 hours)"), secret, changed.url)


@allowed(Scope.WEBHOOKS_WRITE)
@require_POST
def webhook_act(request: MemberRequest, endpoint_id: str, action: str) -> HttpResponse:
    """Test, switch on, or remove."""
    endpoint = _endpoint(request, endpoint_id)
    try:
        if action == "test":
            endpoints.ping(endpoint, request.user)
            messages.success(request, _("A test event was sent. Reload the page to see the outcome."))
        elif action == "enable":
            endpoints.enable(endpoint, request.user)
            messages.success(request, _("The endpoint is switched on again."))
        else:
            endpoints.remove(endpoint, request.user)
            messages.success(request, _("The endpoint is removed."))
            return redirect("developers")
    except SmsappError as error:
        messages.error(request, error.message)
    return redirect("webhook-detail", endpoint_id=endpoint_id)


@allowed(Scope.WEBHOOKS_READ)
@require_http_methods(["GET", "POST"])
def webhook_delivery(request: MemberRequest, endpoint_id: str, delivery_pk: int) -> HttpResponse:
    """What was sent, and each try; POST sends it again."""
    endpoint = _endpoint(request, endpoint_id)
    delivery = get_object_or_404(WebhookDelivery, endpoint=endpoint, pk=delivery_pk)
    may_write = may(request.membership, Scope.WEBHOOKS_WRITE)
    if request.method == "POST" and may_write:
        try:
            endpoints.replay(delivery, request.user)
        except SmsappError as error:
            messages.error(request, error.message)
        else:
            messages.success(request, _("The event is being sent again."))
        return redirect("webhook-delivery", endpoint_id=endpoint_id, delivery_pk=delivery_pk)
    tries = delivery.attempts.order_by("-pk")[:TRIES_SHOWN]
    context = {"endpoint": endpoint, "delivery": delivery, "tries": tries, "may_write": may_write}
    return render(request, "accounts/webhook_delivery.html", context)


@allowed(Scope.ACCOUNT_READ)
@require_GET
def requests_log(request: MemberRequest) -> HttpResponse:
    """Calls of the API, refused ones too, newest first; refreshes itself."""
    calls = ApiUsageLog.objects.filter(account=current_account(request))
    return render(request, "accounts/requests.html", page_of(request, calls))


def _issuer(request: MemberRequest) -> api_keys.Issuer:
    role = Role(request.membership.role)
    return api_keys.Issuer(current_account(request), request.user, Mode.LIVE, SCOPES_OF[role])


def _endpoints(request: MemberRequest) -> QuerySet[WebhookEndpoint]:
    return WebhookEndpoint.objects.filter(
        account=current_account(request), mode=current_mode(request), kind=EndpointKind.ENDPOINT
    ).select_related("account")


def _endpoint(request: MemberRequest, endpoint_id: str) -> WebhookEndpoint:
    owned = WebhookEndpoint.objects.filter(account=current_account(request)).select_related("account")
    endpoint = get_object_or_404(owned, endpoint_id=endpoint_id)
    require_mode(request, endpoint.mode)
    return endpoint


def _shown_once(request: MemberRequest, title: str, secret: str, named: str) -> HttpResponse:
    answer = render(request, "accounts/shown_once.html", {"title": title, "secret": secret, "named": named})
    answer.headers["Cache-Control"] = "no-store"
    return done(answer, "developers")
