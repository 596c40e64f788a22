"""A dashboard form is carried out once, however often it is sent: by a second press, by Back, by a reload.

Each form carries a token. The outcome is stored as the answer to an Idempotency-Key is, in the transaction of the work.
In the browser the token belongs to the entry in the history, so Back brings the old one: `static/js/submit-once.js`.
"""

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts import idempotency
from accounts.access.principal import Caller
from accounts.choices import Role
from accounts.dashboard.decorators import RENDERED_FOR, MemberRequest, current_account, current_mode
from accounts.dashboard.written import give_back
from accounts.idempotency import Answer
from smsapp.core.exceptions import IdempotencyInProgress, OutcomeUnknown, SmsappError

FIELD = "once"
LONGEST = 64  # characters of a token
P = ParamSpec("P")
View = Callable[Concatenate[MemberRequest, P], HttpResponseBase]


def once(view: View[P]) -> View[P]:
    """Decorate a view whose POST makes something and then redirects.

    Other answers say by `done` that it was done, and redirects by `refused` that it was not. The work runs in one
    transaction, so it must not call out. The same content under the same token leads to where the first one led. While
    it is carried out, and if its outcome is unknown, the answer is a page with what was written, from which the same
    form can be sent again.
    """

    @wraps(view)
    def wrapper(request: MemberRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        token = request.POST.get(FIELD, "")
        if not token or len(token) > LONGEST:
            return view(request, *args, **kwargs)
        made: HttpResponseBase | None = None

        def work() -> Answer:
            nonlocal made
            made = view(request, *args, **kwargs)
            leads_to = getattr(made, "leads_to", made.headers.get("Location", ""))
            return Answer(200 if leads_to else 422, leads_to.encode(), "")

        try:
            answer, is_repeated = idempotency.carry_out(_caller(request), _key(request, token), "form", work)
        except IdempotencyInProgress as in_progress:
            words = _("This form is already being processed. Check again in a moment: nothing is done twice.")
            return _again(request, 409, _("Still in progress"), words, in_progress)
        except OutcomeUnknown as unknown:
            words = _("The connection to the database was lost. Check again: nothing is done twice.")
            return _again(request, 503, _("It is not known whether this was done"), words, unknown)
        if not is_repeated and made is not None:
            return made
        messages.info(request, _("You already submitted this form. Nothing was repeated."))
        return redirect(answer.body.decode())

    return wrapper  # type: ignore[return-value]


def done(answer: HttpResponse, leads_to: str) -> HttpResponse:
    """Mark a page that shows, once, what was made; a repetition leads to the page of this name."""
    answer.leads_to = reverse(leads_to)  # type: ignore[attr-defined]
    return answer


def refused(answer: HttpResponse) -> HttpResponse:
    """Mark a redirect that says why nothing was done."""
    answer.leads_to = ""  # type: ignore[attr-defined]
    return answer


def _again(request: MemberRequest, status: int, title: str, words: str, error: SmsappError) -> HttpResponse:
    by_itself = ("csrfmiddlewaretoken", FIELD, RENDERED_FOR)  # what `form_token` writes
    same = [(name, value) for name, values in request.POST.lists() if name not in by_itself for value in values]
    answer = give_back(request, status, title, words, again=same)
    answer.headers["Retry-After"] = str(error.details["retry_after"])
    return answer


def _caller(request: MemberRequest) -> Caller:
    role = Role(request.membership.role)
    return Caller(current_account(request), request.user, current_mode(request), role, frozenset())


def _key(request: MemberRequest, token: str) -> str:
    """Return a key of the token, the address and all that was filled in: changed content is another form."""
    digest = hashlib.sha256(repr((request.user.pk, request.path, token)).encode())
    for name, values in sorted(request.POST.lists()):
        if name != "csrfmiddlewaretoken":
            digest.update(repr((name, values)).encode())
    return f"form:{digest.hexdigest()}"
