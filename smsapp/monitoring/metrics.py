"""`GET /metrics`, for Prometheus.

All figures come from the database and Redis, so any process can answer for the whole installation. Nothing is counted
in a process's memory: with several web processes, each scrape would see another count.
"""

import hmac
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db.models import Min, Sum
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET
from django_redis import get_redis_connection
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.core import CollectorRegistry, CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from redis.exceptions import RedisError

from accounts import request_log
from accounts.choices import Mode, WebhookState
from accounts.models import WebhookDelivery
from accounts.security import sending_hold
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from campaigns.models.tally import COUNTED_STATUSES
from messaging.choices import BatchState
from messaging.models import Batch, ReportInbox
from reports.models import DailyStat
from smsapp import __version__, queues
from smsapp.core import clock, pulse

ACCEPTED_STATUSES = ("sent", "delivered", "undelivered", "unconfirmed")  # the provider has, or had, the message
FINAL_STATUSES = tuple(status for status in COUNTED_STATUSES if status not in ("queued", "unknown", "sent"))

#: For the OpenAPI document.
OPERATION: dict[str, Any] = {
    "operationId": "metrics",
    "summary": "Metrics",
    "description": "Metrics in Prometheus' text format, without the envelope: queues, messages by status, ages of the "
    "oldest waiting work, API requests by endpoint. If the installation sets METRICS_TOKEN, send it as "
    "`Authorization: Bearer …`.",
    "tags": ["service"],
    "security": [{}, {"metricsToken": []}],
    "parameters": [{"$ref": "#/components/parameters/X-Request-Id"}],
    "responses": {
        "200": {
            "description": "One line for each metric and set of labels.",
            "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}},
            "content": {
                "text/plain": {
                    "schema": {"type": "string", "description": "Prometheus' text format."},
                    "example": "# HELP sms_sending_held 1 during a sending hold.\nsms_sending_held 0.0\n",
                }
            },
        },
        "403": {
            "description": "The token is missing or wrong.",
            "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}},
            "content": {"text/plain": {"schema": {"type": "string", "description": "The reason."}}},
        },
    },
}


@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer 403 without METRICS_TOKEN; in production also to everybody if none is set."""
    offered, token = request.headers.get("Authorization", "").removeprefix("Bearer "), settings.METRICS_TOKEN
    is_needed = token or settings.METRICS_NEED_TOKEN
    if is_needed and not (token and hmac.compare_digest(offered.encode(), token.encode())):
        return HttpResponse("The metrics token is missing or wrong.", status=403, content_type="text/plain")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Installation())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class _Installation:
    def collect(self) -> Iterator[Metric]:
        yield from _service()
        yield from _messages()
        yield from _waiting()
        yield from _broker()


def _service() -> Iterator[Metric]:
    info = GaugeMetricFamily("app_info", "The running version.", labels=["version"])
    info.add_metric([__version__], 1)
    yield info
    yield GaugeMetricFamily("sms_sending_held", "1 during a sending hold.", value=int(sending_hold.is_held()))


def _messages() -> Iterator[Metric]:
    """Yield metrics of the daily statistics, which are about ten seconds behind."""
    sums = DailyStat.objects.filter(mode=Mode.LIVE).aggregate(
        segments=Sum("segments"), **{f"n_{status}": Sum(status) for status in COUNTED_STATUSES}
    )
    counts = {status: sums[f"n_{status}"] or 0 for status in COUNTED_STATUSES}
    messages = CounterMetricFamily(
        "sms_messages", "Live messages by status; `sent`: all that a provider has accepted.", labels=["status"]
    )
    for status in FINAL_STATUSES:
        messages.add_metric([status], counts[status])
    messages.add_metric(["sent"], sum(counts[status] for status in ACCEPTED_STATUSES))
    yield messages
    waiting = GaugeMetricFamily("sms_messages_open", "Live messages without a final status.", labels=["status"])
    for status in ("queued", "unknown", "sent"):
        waiting.add_metric([status], counts[status])
    yield waiting
    segments = sums["segments"] or 0
    yield CounterMetricFamily("sms_segments", "Segments of live messages accepted by providers.", value=segments)


def _waiting() -> Iterator[Metric]:
    now = clock.about_now()
    campaigns = GaugeMetricFamily("sms_campaigns", "Open campaigns.", labels=["status"])
    open_states = (CampaignStatus.RUNNING, CampaignStatus.PAUSED, CampaignStatus.SCHEDULED, CampaignStatus.MISSED)
    for status in open_states:
        campaigns.add_metric([status.value], Campaign.objects.filter(status=status, closed_at=None).count())
    yield campaigns
    ready = Batch.objects.filter(state=BatchState.READY, next_attempt_at__lte=now, mode=Mode.LIVE)
    running = ready.filter(campaign__status=CampaignStatus.RUNNING).aggregate(oldest=Min("next_attempt_at"))
    yield _age("sms_oldest_batch_seconds", "Waiting time of the oldest ready batch.", running["oldest"], now)
    unknown = Campaign.objects.filter(closed_at=None).aggregate(total=Sum("unknown"))["total"]
    yield GaugeMetricFamily("sms_unknown", "Messages whose outcome is being looked up.", value=unknown or 0)
    inbox = ReportInbox.objects.filter(applied_at=None).aggregate(oldest=Min("received_at"))
    yield _age("sms_oldest_report_seconds", "Age of the oldest delivery report not yet applied.", inbox["oldest"], now)
    outbox = WebhookDelivery.objects.filter(state=WebhookState.WAITING, next_attempt_at__lte=now)
    due = outbox.aggregate(oldest=Min("next_attempt_at"))["oldest"]
    yield _age("sms_oldest_webhook_seconds", "Waiting time of the oldest webhook delivery that is due.", due, now)


def _age(name: str, documentation: str, oldest: object, now: object) -> Metric:
    seconds = (now - oldest).total_seconds() if oldest else 0  # type: ignore[operator]
    return GaugeMetricFamily(name, documentation, value=max(seconds, 0))


def _broker() -> Iterator[Metric]:
    """Yield the broker's metrics; only `sms_broker_up` while Redis is down."""
    try:
        redis = get_redis_connection("default")
        depths = {name: redis.llen(f"{settings.REDIS_KEY_PREFIX}:{name}") for name in queues.QUEUES}
        calls = request_log.counts()
    except RedisError:
        yield GaugeMetricFamily("sms_broker_up", "1 while the broker answers.", value=0)
        return
    yield GaugeMetricFamily("sms_broker_up", "1 while the broker answers.", value=1)
    depth = GaugeMetricFamily("sms_queue_depth", "Tasks waiting in a queue.", labels=["queue"])
    for name, count in depths.items():
        depth.add_metric([name], count)
    yield depth
    age = GaugeMetricFamily(
        "sms_pulse_age_seconds",
        "Seconds since the last heartbeat of beat or of a queue's workers.",
        labels=["of"],
    )
    for name, seconds_ago in (pulse.ages() or {}).items():
        age.add_metric([name], seconds_ago)
    yield age
    requests = CounterMetricFamily("api_requests", "API requests.", labels=["method", "endpoint", "status"])
    seconds = CounterMetricFamily("api_request_seconds", "Time spent on API requests.", labels=["method", "endpoint"])
    for (method, endpoint, status), count in calls.requests.items():
        requests.add_metric([method, endpoint, status], count)
    for (method, endpoint), total in calls.seconds.items():
        seconds.add_metric([method, endpoint], total)
    yield requests
    yield seconds
