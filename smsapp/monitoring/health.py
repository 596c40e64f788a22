"""Health endpoints for load balancers and monitors: `GET /health`, `/health/live` and `/health/ready`."""

from threading import Event

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django_redis import get_redis_connection
from drf_spectacular.utils import extend_schema
from redis.exceptions import RedisError
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.security import sending_hold
from accounts.security.sending_hold import HoldKind
from smsapp import __version__
from smsapp.api import statuses
from smsapp.api.fields import StatusField
from smsapp.api.serializers import Answer
from smsapp.core import pulse
from smsapp.core.exceptions import ServiceUnavailable
from smsapp.runtime import draining


class HealthAnswer(Answer):
    status = StatusField(statuses.HEALTH, help_text="Whether everything works and messages are sent.")
    version = serializers.CharField(help_text="The version of this installation, e.g. `1.0.0`.")
    database = serializers.ChoiceField(["ok"], help_text="Without the database the response is 503.")
    broker = serializers.ChoiceField(["ok", "down"], help_text="Whether Redis answers.")
    workers = serializers.CharField(
        help_text="`ok`, or `down:` followed by what is silent: beat, or queues that no worker has served for minutes."
    )
    sending = serializers.ChoiceField(
        ["on", "held", "checking"],
        help_text="`held`: nothing is sent. `checking`: nothing is sent until the provider has said which messages it "
        "already has.",
    )
    hold_reason = serializers.CharField(allow_null=True, help_text="Why nothing is sent; null while sending is on.")


class LiveAnswer(Answer):
    status = serializers.ChoiceField(["OK"], help_text="The process answers.")
    version = serializers.CharField(help_text="The version of this installation, e.g. `1.0.0`.")


class OpenView(APIView):
    """An endpoint without credentials and rate limits."""

    authentication_classes = ()
    permission_classes = (AllowAny,)


class HealthView(OpenView):
    @extend_schema(operation_id="health", summary="Health", tags=["service"], responses=HealthAnswer, auth=[])
    def get(self, request: Request) -> Response:
        """Answers 200 while messages can be accepted and stored; 503 without the database."""
        held = sending_hold.current()  # asks the database
        broker, silent = _broker_answers(), pulse.silent()
        return Response(
            {
                "status": "OK" if broker and not held and not silent else "DEGRADED",
                "version": __version__,
                "database": "ok",
                "broker": "ok" if broker else "down",
                "workers": f"down: {', '.join(silent)}" if silent else "ok",
                "sending": ("checking" if held.kind is HoldKind.CHECKING else "held") if held else "on",
                "hold_reason": held.reason if held else None,
            }
        )


class LiveView(OpenView):
    @extend_schema(operation_id="health_live", summary="Alive", tags=["service"], responses=LiveAnswer, auth=[])
    def get(self, request: Request) -> Response:
        """Answers 200 while this process can answer at all. Restart a process that does not."""
        return Response({"status": "OK", "version": __version__})


class ReadyView(OpenView):
    @extend_schema(operation_id="health_ready", summary="Ready", tags=["service"], responses=HealthAnswer, auth=[])
    def get(self, request: Request) -> Response:
        """Like `/health`, but also 503 while migrations are missing or the server is stopping.

        Send no traffic to a server that answers 503.
        """
        if draining.is_on():
            raise ServiceUnavailable("This server is stopping.")
        if _migrations_missing():
            raise ServiceUnavailable("The database has not been migrated to this version.")
        return HealthView().get(request)


def _migrations_missing() -> bool:
    """Return whether migrations are missing. Once none are, the process does not look again."""
    if not _migrated.is_set():
        executor = MigrationExecutor(connection)
        if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
            _migrated.set()
    return not _migrated.is_set()


_migrated = Event()


def _broker_answers() -> bool:
    try:
        get_redis_connection("default").ping()
    except (RedisError, OSError):
        return False
    return True
