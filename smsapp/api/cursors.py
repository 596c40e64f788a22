"""Cursors: where a page begins, sealed. Nobody reads an id from one, changes it, or uses it for another list.

A cursor is bound to account, mode, address and filters; only `limit` may differ from page to page. Its position is a
few whole numbers: keys of the row that the page before ended with.
"""

import base64
import hashlib
import secrets
from collections.abc import Sequence

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param

from accounts.access.principal import caller_of
from smsapp.core.exceptions import InvalidCursor

PARAMETER = "cursor"
NOT_FILTERS = (PARAMETER, "limit", "format")
NONCE_SIZE = 12  # bytes
MAX_LENGTH = 300  # characters


def seal(request: Request, position: Sequence[int]) -> str:
    """A cursor for the list that was asked for."""
    nonce = secrets.token_bytes(NONCE_SIZE)
    sealed = _cipher().encrypt(nonce, orjson.dumps(list(position)), _list_of(request))
    return base64.urlsafe_b64encode(nonce + sealed).rstrip(b"=").decode()


def unsealed(request: Request) -> tuple[int, ...]:
    """The position of the request's cursor. Raises InvalidCursor for one that was changed, or made for another list,
    account or filter."""
    text = request.query_params[PARAMETER]
    try:
        if len(text) > MAX_LENGTH:
            raise ValueError("too long for a cursor")
        sealed = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        return tuple(orjson.loads(_cipher().decrypt(sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], _list_of(request))))
    except (ValueError, InvalidTag) as error:
        raise InvalidCursor("This is no cursor of this list with these filters.", PARAMETER, text) from error


def link_to(request: Request, position: Sequence[int] | None) -> str | None:
    """The address of the page that begins after `position`; None for None, after the last page."""
    if position is None:
        return None
    link: str = replace_query_param(request.build_absolute_uri(), PARAMETER, seal(request, position))
    return link


def _cipher() -> AESGCM:
    return AESGCM(hashlib.sha256(f"cursor {settings.SECRET_KEY}".encode()).digest())


def _list_of(request: Request) -> bytes:
    """What a cursor is bound to."""
    caller = caller_of(request)
    filters = sorted((name, value) for name, value in request.query_params.items() if name not in NOT_FILTERS)
    return orjson.dumps([request.path_info, caller.account.pk, caller.mode, filters])
