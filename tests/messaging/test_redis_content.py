"""Redis holds ids, counts and hashes: no number of a recipient and no text, whatever was sent, counted or asked."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.test import Client

from accounts.models import Account
from messaging.choices import Lane
from messaging.models import Message
from messaging.outcomes import report_inbox
from messaging.sending import dispatch
from messaging.sending.expansion import expand_ready
from tests.support.factories import make_api_key
from tests.support.servers.simulators import RunningSimulator

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
NUMBER, TEXT = "4915119876543", "Quetzalcoatl has your parcel"


def content_of(server: "redis.Redis[bytes]", prefix: str) -> Iterator[bytes]:
    """Every key that begins so, and everything in it."""
    readers = {
        b"string": server.get,
        b"list": lambda key: server.lrange(key, 0, -1),
        b"hash": server.hgetall,
        b"set": server.smembers,
        b"zset": lambda key: server.zrange(key, 0, -1, withscores=True),
        b"stream": server.xrange,
    }
    for key in server.scan_iter(f"{prefix}*", count=1000):
        yield key
        kind = server.type(key)
        if kind in readers:
            yield repr(readers[kind](key)).encode()


def test_it_holds_no_number_and_no_text(
    client: Client, simulator: RunningSimulator, redis_client: "redis.Redis[bytes]", settings: Any
) -> None:
    key, secret = make_api_key()
    Account.objects.filter(pk=key.account_id).update(
        guards_numbers=True, recipient_hourly_limit=100, recipient_daily_limit=100, rate=1000
    )
    calls = (
        ("sms/send", {"phone_numbers": [f"+{NUMBER}"], "message": TEXT}),
        ("sms/bulk", {"phone_numbers": [f"+{NUMBER}"], "message": TEXT}),
        ("sms/send", {"phone_numbers": [NUMBER, "123"], "message": TEXT}),
    )
    for n, (path, body) in enumerate(calls):
        headers = {"X-API-Key": secret, "Idempotency-Key": f"call-{n}"}
        client.post(f"/api/v1/{path}", body, content_type="application/json", headers=headers)
    client.get("/api/v1/messages", {"phone_number": f"+{NUMBER}"}, headers={"X-API-Key": secret})
    expand_ready()
    dispatch.dispatch_ready(Lane.CAMPAIGNS, seconds=10)
    dispatch.dispatch_ready(Lane.SINGLES, seconds=10)
    report_inbox.poll()
    assert Message.objects.filter(phone_number=f"+{NUMBER}").count() == 2
    wanted = (NUMBER.encode(), NUMBER[:-4].encode(), TEXT.encode(), TEXT.split()[0].encode())
    found = list(content_of(redis_client, settings.REDIS_KEY_PREFIX.rpartition("-")[0]))
    assert len(found) > 4, "something was counted"
    assert [part for part in found if any(one in part for one in wanted)] == []
