"""A single message past the pipeline, for an operator who sets a gateway up: request and answer.

It belongs to no account and no campaign, costs no credit, and its reports match no message. Answers of a server in our
own network are shown to superusers only: others could read through us what they cannot reach.
"""

import secrets
from dataclasses import dataclass

from accounts.models import User
from accounts.security import audit
from accounts.webhooks.destinations import is_public, leads_inside
from messaging.choices import GatewayKind
from messaging.gateways.base import GatewayError, OutgoingMessage, Refused, Submission, SubmitAnswer, Unknown
from messaging.gateways.factory import make
from messaging.gateways.http import Http
from messaging.gateways.registry import setup_from
from messaging.models import Gateway
from smsapp.core import clock
from smsapp.lib.phone import mask

MAX_SHOWN = 4000  # characters of a body
HIDDEN = "•••"


@dataclass(frozen=True, slots=True)
class Trial:
    """Request and answer in words, without credentials; empty where the gateway does not show them."""

    outcome: str
    is_accepted: bool
    request: str = ""
    answer: str = ""


def send_trial(row: Gateway, phone_number: str, text: str, sender: str, by: User) -> Trial:
    """Send a test message. Raises nothing: whatever goes wrong is what the operator wants to see.

    Once a provider has accepted one with the stored settings, the gateway can be switched on.
    """
    trial = _try(row, phone_number, text, sender, by)
    if trial.is_accepted:
        unchanged = Gateway.objects.filter(pk=row.pk, updated_at=row.updated_at)
        unchanged.update(tested_at=clock.about_now())
    return trial


def _try(row: Gateway, phone_number: str, text: str, sender: str, by: User) -> Trial:
    audit.record(
        "gateway.tried",
        account=None,
        by=by,
        target_type="gateway",
        target_id=row.name,
        after={"to": mask(phone_number)},
    )
    message = OutgoingMessage(f"trial-{secrets.token_hex(6)}", phone_number, text)
    submission = Submission(message.message_id, [message], sender)
    if not by.is_superuser and (address := _address_of(row)) and leads_inside(address):
        return Trial("Its address cannot be found, or is not public: only a superuser tries it.", is_accepted=False)
    try:
        gateway = make(setup_from(row))
    except ValueError as error:
        return Trial(f"It cannot be used: {error}", is_accepted=False)
    try:
        if isinstance(gateway, Http):
            return _http_trial(gateway, submission, message, row.secrets, by)
        return _verdict(gateway.submit(submission), message)
    except GatewayError as error:
        return Trial(_words(error), is_accepted=False)
    finally:
        gateway.close()


def _address_of(row: Gateway) -> str:
    """Return the address; empty for the provider's usual one, which is public."""
    return str(row.rules.get("url", "")) if row.kind == GatewayKind.HTTP else row.base_url


def _http_trial(
    gateway: Http, submission: Submission, message: OutgoingMessage, secret: dict[str, str], by: User
) -> Trial:
    path, body = gateway.request_of(submission, message)
    request = _without(secret, f"{gateway.method} {path}\n\n{_readable(body or b'')}")
    try:
        response = gateway.ask(submission, message)
    except GatewayError as error:
        return Trial(_words(error), is_accepted=False, request=request)
    if not by.is_superuser and not is_public(response.peer):
        return Trial("A server that is not public answered: only a superuser sees what.", is_accepted=False)
    answer = _without(secret, f"HTTP {response.status}\n\n{_readable(response.body)}")
    try:
        verdict = _verdict(gateway.read_answer(response, message.message_id), message)
    except GatewayError as error:
        return Trial(_words(error), is_accepted=False, request=request, answer=answer)
    return Trial(verdict.outcome, verdict.is_accepted, request, answer)


def _verdict(answer: SubmitAnswer, message: OutgoingMessage) -> Trial:
    report = answer.verdicts.get(message.message_id)
    theirs = answer.provider_ids.get(message.message_id, "")
    name = f" Its id there is {theirs}." if theirs else ""
    if report is None:
        return Trial("The answer does not say what became of the message.", is_accepted=False)
    if message.message_id in answer.accepted or report.status.public == "SENT":
        return Trial(f"Taken by the provider.{name}", is_accepted=True)
    why = " ".join(filter(None, [report.provider_status, report.error_code, report.error_description]))
    return Trial(f"The provider says {report.status.label}: {report.reason.label} ({why}).{name}", is_accepted=False)


def _words(error: GatewayError) -> str:
    if isinstance(error, Unknown):
        return f"Nobody can say whether it was taken: {error.detail}"
    if isinstance(error, Refused):
        return f"Refused: {error.detail}"
    return f"Not sent: {error.detail}"


def _readable(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _without(secret: dict[str, str], text: str) -> str:
    for value in secret.values():
        if len(value) > 3:
            text = text.replace(value, HIDDEN)
    return text
