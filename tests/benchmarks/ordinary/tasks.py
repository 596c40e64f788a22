"""One task for each message, one for each report."""

import os
import threading

import django
import httpx2
from celery import Celery
from django.db import transaction
from django.db.models import F
from django.utils import timezone

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.benchmarks.ordinary.settings")
django.setup()

from tests.benchmarks.ordinary.models import Campaign, DeliveryReport, Message  # noqa: E402

app = Celery("ordinary", broker=os.environ.get("ORDINARY_BROKER_URL", "memory://"))
app.conf.update(
    task_ignore_result=True, worker_prefetch_multiplier=4, broker_transport_options={"global_keyprefix": "ordinary:"}
)
_own = threading.local()


@app.task
def send(message_pk: int) -> None:
    message = Message.objects.select_related("campaign").get(pk=message_pk)
    destination = {"to": message.phone_number.removeprefix("+"), "messageId": str(message.message_id)}
    body = {"messages": [{"destinations": [destination], "content": {"text": message.text}, "sender": "DemoShop"}]}
    response = _client().post("/sms/3/messages", json=body)
    response.raise_for_status()
    message.status, message.sent_at = "sent", timezone.now()
    message.save()
    Campaign.objects.filter(pk=message.campaign_id).update(accepted=F("accepted") + 1)


@app.task
def report(message_id: str, status: str) -> None:
    with transaction.atomic():
        message = Message.objects.select_for_update().get(message_id=message_id)
        message.status, message.done_at = status, timezone.now()
        message.save()
        DeliveryReport.objects.create(message=message, status=status)
        Campaign.objects.filter(pk=message.campaign_id).update(delivered=F("delivered") + 1)


def _client() -> httpx2.Client:
    if not hasattr(_own, "client"):
        _own.client = httpx2.Client(base_url=os.environ["ORDINARY_PROVIDER_URL"], timeout=15, trust_env=False)
    return _own.client
