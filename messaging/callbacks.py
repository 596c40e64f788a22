"""Provider pushes: prove the origin, store the body, answer 200. What it says is applied afterwards.

Infobip signs nothing that a send request could ask for, so the proof is an unguessable token in the path.
"""

import hmac
import logging

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from messaging import gateways, inbound, inbox
from messaging.choices import FactSource

logger = logging.getLogger(__name__)

MAX_BODY = 4 * 1024 * 1024  # bytes; 2,000 reports (the provider's largest bucket) are about 1 MB


@csrf_exempt
@require_POST
def inbound_messages(request: HttpRequest, gateway: str, token: str) -> HttpResponse:
    """200 only after every message is kept; 503 when one cannot be, so that the provider comes again."""
    body, refusal = _body(request, gateway, token)
    if refusal is not None:
        return refusal
    try:
        messages = gateways.get(gateway).parse_inbound(body)
    except ValueError as error:
        logger.warning("unreadable inbound messages from %s: %s", gateway, error)
        return HttpResponse("Not a body of inbound messages", status=400, content_type="text/plain")
    try:
        inbound.receive(gateway, messages)
    except DatabaseError:
        logger.exception("inbound messages from %s could not be stored", gateway)
        return HttpResponse(status=503)
    return HttpResponse("OK", content_type="text/plain")


@csrf_exempt
@require_POST
def delivery_reports(request: HttpRequest, gateway: str, token: str) -> HttpResponse:
    """200 only after the body is committed; 503 when it cannot be, so that the provider comes again."""
    body, refusal = _body(request, gateway, token)
    if refusal is not None:
        return refusal
    try:
        report_count = gateways.get(gateway).count_reports(body)
    except ValueError as error:
        logger.warning("unreadable delivery reports from %s: %s", gateway, error)
        return HttpResponse("Not a body of delivery reports", status=400, content_type="text/plain")
    try:
        inbox.receive(gateway, FactSource.PUSH, body, report_count)
    except DatabaseError:
        logger.exception("delivery reports from %s could not be stored", gateway)
        return HttpResponse(status=503)
    return HttpResponse("OK", content_type="text/plain")


def _body(request: HttpRequest, gateway: str, token: str) -> tuple[bytes, HttpResponse | None]:
    """The body of a push whose origin is proven, or the answer to one whose is not, or that is too large."""
    known = hmac.compare_digest(token.encode(), settings.INFOBIP_CALLBACK_TOKEN.encode())
    if not known or gateway not in gateways.names():
        return b"", HttpResponse(status=404)
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BODY:
        return b"", HttpResponse("Body too large", status=413, content_type="text/plain")
    return request.read(MAX_BODY + 1), None
