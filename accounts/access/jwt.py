"""Tokens of simplejwt that live by the database's clock, whichever machine issues and reads them.

By its own clock, a machine that is ten minutes ahead would issue access tokens that live twice as long as they should,
which others refuse as issued in the future, and would turn away every token of the others.
"""

from datetime import datetime
from typing import Any

import jwt
from rest_framework_simplejwt import tokens
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import ExpiredTokenError, TokenBackendError, TokenError
from rest_framework_simplejwt.settings import api_settings

from smsapp.core import clock


class _Backend(TokenBackend):
    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:
        """Decode a token without its times, which the token checks itself. Raises TokenBackendError."""
        try:
            payload: dict[str, Any] = jwt.decode(
                token,
                self.get_verifying_key(token),
                algorithms=[self.algorithm],
                audience=self.audience,
                issuer=self.issuer,
                options={"verify_signature": verify, "verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError as error:
            raise TokenBackendError("Token is invalid") from error
        return payload


class _Timed:
    """Mixed into simplejwt's tokens."""

    payload: dict[str, Any]
    _token_backend = _Backend(
        api_settings.ALGORITHM, api_settings.SIGNING_KEY, audience=api_settings.AUDIENCE, issuer=api_settings.ISSUER
    )

    @property
    def current_time(self) -> datetime:
        return self._current_time

    @current_time.setter
    def current_time(self, host_time: datetime) -> None:
        self._current_time = clock.about_now()

    def check_exp(self, claim: str = "exp", current_time: datetime | None = None) -> None:
        """Raise ExpiredTokenError, or TokenError if there is no such time."""
        value = self.payload.get(claim)
        if not isinstance(value, int | float):
            raise TokenError(f"Token has no time '{claim}'")
        if value <= (current_time or self.current_time).timestamp():
            raise ExpiredTokenError("Token is expired")


class AccessToken(_Timed, tokens.AccessToken):  # type: ignore[misc]
    pass


class RefreshToken(_Timed, tokens.RefreshToken):  # type: ignore[misc]
    access_token_class = AccessToken
