"""`GET /health`: can this installation accept and keep messages?"""

from typing import Any

from django_redis import get_redis_connection
from drf_spectacular.utils import extend_schema
from redis.exceptions import RedisError
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import hold
from smsapp import __version__


class HealthAnswer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(
        ["ok", "degraded"],
        help_text="Degraded: messages are accepted and kept, and go out once the broker is back or the hold released.",
    )
    version = serializers.CharField()
    database = serializers.CharField(help_text="ok")
    broker = serializers.CharField(help_text="ok or down")
    sending = serializers.CharField(help_text="on or held")
    hold_reason = serializers.CharField(help_text="Why nothing is sent; empty while sending is on.")


class HealthView(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(operation_id="health", summary="Health", tags=["service"], responses=HealthAnswer, auth=[])
    def get(self, request: Request) -> Response:
        """200 while messages can be accepted and kept; 503 SERVICE_UNAVAILABLE without the database."""
        held = hold.current()  # asks the database
        broker = _broker_answers()
        return Response(
            {
                "status": "ok" if broker and not held else "degraded",
                "version": __version__,
                "database": "ok",
                "broker": "ok" if broker else "down",
                "sending": "held" if held else "on",
                "hold_reason": held.reason if held else "",
            }
        )


def _broker_answers() -> bool:
    try:
        get_redis_connection("default").ping()
    except (RedisError, OSError):
        return False
    return True
