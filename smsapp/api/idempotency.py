"""`Idempotency-Key`: a POST that comes again is answered again, and not carried out again."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from typing import Any, ClassVar

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse, QueryDict
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import idempotency
from accounts.access.principal import caller_of
from accounts.idempotency import Answer

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
ORIGINAL_HEADER = "Idempotency-Original-Request-Id"

Handler = Callable[..., Response]


class Repeatable:
    """Mixed into every view with an account: each POST takes the header, wherever its handler comes from.

    The handler then runs in one transaction with the key, so it must not call out: what does, say a look-up of a name,
    belongs in `look_ahead`.
    """

    #: Handlers that only read, by action or, in a plain view, `post`: the header means nothing to them.
    only_reading: ClassVar[Collection[str]] = ()
    #: Whether answers hold what is shown once: then a key stands for the call of one person, and nobody else of the
    #: account is given the answer again.
    is_for_one_person: ClassVar[bool] = False

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """The last step before REST framework looks the handler up."""
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        text = request.headers.get(HEADER)
        handler = getattr(self, "post", None)
        if text is not None and handler is not None and self.takes_key(request.method or ""):
            vars(self)["post"] = partial(self._once, idempotency.parse_key(text), handler)

    def takes_key(self, method: str) -> bool:
        action = getattr(self, "action", None) or "post"
        return method == "POST" and action not in self.only_reading

    def look_ahead(self, request: Request) -> None:
        """What the handler needs from outside of our database, ahead of its transaction."""

    def _once(self, key: str, handler: Handler, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        caller = caller_of(request)
        fingerprint = fingerprint_of(request, str(caller.user.pk) if self.is_for_one_person else "")
        self.look_ahead(request)
        response: Response | None = None

        def work() -> Answer:
            nonlocal response
            response = self._rendered(handler(request, *args, **kwargs))
            return Answer(response.status_code, response.content, "")

        answer, is_repeated = idempotency.carry_out(caller, key, fingerprint, work)
        if not is_repeated:
            assert response is not None
            return response
        replay = HttpResponse(answer.body, status=answer.status_code, content_type="application/json")
        replay.headers[REPLAYED_HEADER] = "true"
        replay.headers[ORIGINAL_HEADER] = answer.request_id
        return replay

    def _rendered(self, response: Response) -> Response:
        """Finished as REST framework would later: what is stored is what is sent."""
        request = self.request  # type: ignore[attr-defined]
        response.accepted_renderer = request.accepted_renderer
        response.accepted_media_type = request.accepted_media_type
        response.renderer_context = self.get_renderer_context()  # type: ignore[attr-defined]
        return response.render()


def fingerprint_of(request: Request, person: str = "") -> str:
    """Of method, address and body, however its JSON is spaced or ordered, and of the person where only they are given
    the answer. Raises what reading the body raises."""
    digest = hashlib.sha256(f"{request.method} {request.get_full_path()}\n{person}".encode())
    data = request.data
    if isinstance(data, QueryDict):
        for part in _parts(data.lists()):
            digest.update(canonical(part))
    else:
        digest.update(canonical(data))
    return digest.hexdigest()


def canonical(data: Any) -> bytes:
    """JSON with its keys in order; numbers as Python writes them, for some are beyond 64 bits."""
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


def _parts(fields: Iterable[tuple[str, list[Any]]]) -> Iterator[list[str]]:
    """Fields of a form in order of their names; a file as its name and the hash of its content."""
    for name, values in sorted(fields, key=lambda field: field[0]):
        for value in values:
            yield [name, *(_of_file(value) if isinstance(value, UploadedFile) else (value,))]


def _of_file(file: "UploadedFile[bytes]") -> tuple[str, str]:
    digest = hashlib.sha256()
    for block in file.chunks():
        digest.update(block)
    file.seek(0)
    return file.name or "", digest.hexdigest()
