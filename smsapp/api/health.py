"""`GET /health`: can this installation accept and keep messages?"""

from typing import Any

from django.db import connection
from django_redis import get_redis_connection
from drf_spectacular.utils import extend_schema
from redis.exceptions import RedisError
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from smsapp import __version__


class HealthAnswer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(
        ["ok", "degraded"], help_text="Degraded: messages are accepted and kept, and go out once the broker is back."
    )
    version = serializers.CharField()
    database = serializers.CharField(help_text="ok")
    broker = serializers.CharField(help_text="ok or down")


class HealthView(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(operation_id="health", summary="Health", tags=["service"], responses=HealthAnswer, auth=[])
    def get(self, request: Request) -> Response:
        """200 while messages can be accepted and kept; 503 SERVICE_UNAVAILABLE without the database."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        broker = _broker_answers()
        return Response(
            {
                "status": "ok" if broker else "degraded",
                "version": __version__,
                "database": "ok",
                "broker": "ok" if broker else "down",
            }
        )


def _broker_answers() -> bool:
    try:
        get_redis_connection("default").ping()
    except (RedisError, OSError):
        return False
    return True
