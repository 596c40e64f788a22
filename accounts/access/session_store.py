"""Sessions in the database under a hash of their key, so that reading the table lets nobody sign in."""

import hashlib
from typing import Any

from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.base_session import AbstractBaseSession
from django.contrib.sessions.models import Session

from smsapp.core import clock

KEY_LENGTH = 40  # of the column; 160 bits


class SessionStore(DatabaseStore):
    def _get_session_from_db(self) -> Session | None:
        key = self.session_key
        row = key and Session.objects.filter(session_key=stored_as(key), expire_date__gt=clock.about_now()).first()
        if not row:
            self._session_key = None  # as in Django: the given key is not adopted
            return None
        return row

    def exists(self, session_key: str) -> bool:
        return super().exists(stored_as(session_key))

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key:
            super().delete(stored_as(key))

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        row = super().create_model_instance(data)
        row.session_key = stored_as(row.session_key)
        return row


def stored_as(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:KEY_LENGTH]
