"""What a customer's endpoint is told of messages."""

from typing import Any

import orjson

from accounts.models import Account, WebhookEndpoint
from accounts.webhooks import endpoints
from tests.support.factories import MembershipFactory


def listen(account: Account, mode: str = "live", **options: Any) -> WebhookEndpoint:
    number = WebhookEndpoint.objects.count()
    member = MembershipFactory(account=account)
    return endpoints.create(account, mode, member.user, f"http://127.0.0.1:1/{number}", **options)[0]


def told(endpoint: WebhookEndpoint) -> list[dict[str, Any]]:
    """Every result in the bodies for it."""
    bodies = endpoint.deliveries.filter(event_type="message.status").order_by("pk").values_list("body", flat=True)
    return [message for body in bodies for message in orjson.loads(body)["data"]["messages"]]
