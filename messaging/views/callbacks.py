"""Provider pushes: prove the origin, store the body, answer 200. What it says is applied afterwards.

The proof is an unguessable token in the address, and the provider's own signature where it has one.
"""

import hmac
import logging

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from messaging.choices import FactSource
from messaging.gateways import registry
from messaging.gateways.base import Gateway, Push
from messaging.inbound import replies
from messaging.outcomes import report_inbox

logger = logging.getLogger(__name__)

MAX_BODY = 4 * 1024 * 1024  # bytes; 2,000 reports (Infobip's largest bucket) are about 1 MB


class Refusal(Exception):
    """A push that is not taken."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(text)
        self.answer = HttpResponse(text, status=status, content_type="text/plain")


@csrf_exempt
@require_POST
def inbound_messages(request: HttpRequest, gateway: str, token: str) -> HttpResponse:
    """200 only after every message is kept; 503 when one cannot be, so that the provider comes again."""
    try:
        provider, push = _proven(request, gateway, token)
        messages = provider.parse_inbound(push.body)
    except Refusal as refusal:
        return refusal.answer
    except ValueError as error:
        logger.warning("unreadable inbound messages from %s: %s", gateway, error)
        return HttpResponse("Not a body of inbound messages", status=400, content_type="text/plain")
    try:
        replies.receive(gateway, messages)
    except DatabaseError:
        logger.exception("inbound messages from %s could not be stored", gateway)
        return HttpResponse(status=503)
    return _taken(provider)


@csrf_exempt
@require_POST
def delivery_reports(request: HttpRequest, gateway: str, token: str, message_id: str = "") -> HttpResponse:
    """200 only after the body is committed; 503 when it cannot be, so that the provider comes again."""
    try:
        provider, push = _proven(request, gateway, token, message_id)
        body = provider.body_of(push)
        report_count = provider.count_reports(body)
    except Refusal as refusal:
        return refusal.answer
    except ValueError as error:
        logger.warning("unreadable delivery reports from %s: %s", gateway, error)
        return HttpResponse("Not a body of delivery reports", status=400, content_type="text/plain")
    try:
        report_inbox.receive(gateway, FactSource.PUSH, body, report_count)
    except DatabaseError:
        logger.exception("delivery reports from %s could not be stored", gateway)
        return HttpResponse(status=503)
    return _taken(provider)


def _proven(request: HttpRequest, name: str, token: str, message_id: str = "") -> tuple[Gateway, Push]:
    """A push and who it is from. Raises Refusal for one whose origin is not proven, or that is too large."""
    is_known = hmac.compare_digest(token.encode(), registry.callback_token(name).encode())
    if not is_known or name not in registry.known():
        raise Refusal(404)
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BODY:
        raise Refusal(413, "Body too large")
    try:
        provider = registry.get(name)
    except ImproperlyConfigured as error:
        logger.error("a push cannot be taken: %s", error)
        raise Refusal(503) from error
    base = settings.PUBLIC_URL or f"{request.scheme}://{request.get_host()}"
    headers = {header.lower(): value for header, value in request.headers.items()}
    push = Push(f"{base}{request.get_full_path()}", headers, request.read(MAX_BODY + 1), message_id)
    if not provider.is_genuine(push):
        logger.warning("a push for gateway %s has no valid signature", name)
        raise Refusal(403, "No valid signature")
    return provider, push


def _taken(provider: Gateway) -> HttpResponse:
    return HttpResponse(provider.push_answer, content_type=provider.push_answer_type)
