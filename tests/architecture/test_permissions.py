"""Who may call what: every route and method of the API, for every kind of caller.

A new route is one line in tests/support/api_routes.py.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Model
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator

from accounts.access import tokens
from accounts.access.api_keys import revoke_api_key
from accounts.choices import SCOPES_OF, Mode, Role, Scope
from accounts.models import ApiKey
from tests.support.api_routes import (
    METHODS,
    ROUTES,
    THINGS,
    Route,
    Things,
    ask,
    filled,
    nothing,
    of_key,
    routes,
    value_in,
)
from tests.support.factories import MembershipFactory

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def code_of(answer: Any) -> str:
    """The error's code; empty for a success or what is no answer of the envelope."""
    if not answer.get("Content-Type", "").startswith("application/json"):
        return ""
    return (answer.json().get("error") or {}).get("code", "")


def of_token(membership: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.sign_in(membership.user).access_token}"}


def refusals(client: Any, headers_of: Callable[[Scope], dict[str, str]]) -> dict[Route, str]:
    """Code by route, for the routes that need a scope."""
    return {route: code_of(ask(client, route, headers_of(row.scope))) for route, row in ROUTES.items() if row.scope}


REFUSALS = {
    "AUTHENTICATION_REQUIRED",
    "INVALID_CREDENTIALS",
    "API_KEY_REVOKED",
    "API_KEY_EXPIRED",
    "TOKEN_INVALID",
    "IP_NOT_ALLOWED",
    "PERMISSION_DENIED",
    "INSUFFICIENT_SCOPE",
    "CSRF_FAILED",
}


def test_every_route_and_method_has_its_row() -> None:
    assert {(method, path) for path, methods in routes() for method in methods} == set(ROUTES)


def test_every_parameter_has_its_thing() -> None:
    assert {name for _, path in ROUTES for name in re.findall(r"{(\w+)}", path)} == set(THINGS)


def test_without_credentials_only_the_open_routes_answer(client: Any) -> None:
    assert set(refusals(client, lambda scope: {}).values()) == {"AUTHENTICATION_REQUIRED"}
    for route, row in ROUTES.items():
        if row.scope is None:
            assert code_of(ask(client, route, {})) not in REFUSALS, route


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("kind", [of_key, of_token])
def test_a_role_may_what_its_scopes_say_and_no_more(client: Any, role: Role, kind: Any) -> None:
    headers = kind(MembershipFactory(role=role))
    for route, code in refusals(client, lambda scope: headers).items():
        allowed = ROUTES[route].scope in SCOPES_OF[role]
        assert (code not in REFUSALS) if allowed else (code == "PERMISSION_DENIED"), (route, code)


@pytest.mark.parametrize("mode", Mode)
def test_a_key_may_what_its_scopes_say_and_no_more(client: Any, mode: Mode) -> None:
    member = MembershipFactory()
    only = {scope: of_key(member, mode, scopes=[scope]) for scope in Scope}
    without = {scope: of_key(member, mode, scopes=set(Scope) - {scope}) for scope in Scope}
    allowed = refusals(client, lambda scope: only[scope])
    assert {route: code for route, code in allowed.items() if code in REFUSALS} == {}
    assert set(refusals(client, lambda scope: without[scope]).values()) == {"INSUFFICIENT_SCOPE"}


@pytest.mark.parametrize(
    "code", ["API_KEY_REVOKED", "API_KEY_EXPIRED", "IP_NOT_ALLOWED", "INVALID_CREDENTIALS", "TOKEN_INVALID"]
)
def test_a_credential_that_is_over_opens_nothing(client: Any, code: str) -> None:
    member = MembershipFactory()
    headers = of_token(member) if code == "TOKEN_INVALID" else of_key(member)
    key = ApiKey.objects.first()
    if code == "API_KEY_REVOKED":
        revoke_api_key(key, member.user)
    elif code == "API_KEY_EXPIRED":
        ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    elif code == "IP_NOT_ALLOWED":
        ApiKey.objects.update(allowed_networks=["203.0.113.0/24"])
    elif code == "INVALID_CREDENTIALS":
        ApiKey.objects.update(secret_hash="0" * 64)
    else:
        member.user.set_password("another horse battery")
        member.user.save()
    assert set(refusals(client, lambda scope: headers).values()) == {code}


def test_the_schema_names_the_credentials_of_each_route() -> None:
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    open_to = {("GET", "metrics"): [{}, {"metricsToken": []}]}
    documented = {
        (method.upper(), path.removeprefix("/api/v1/")): operation.get("security", [])
        for path, operations in paths.items()
        for method, operation in operations.items()
    }
    assert {route: security for route, security in documented.items() if route in ROUTES} == {
        route: [{"apiKey": []}, {"token": []}, {"session": []}] if ROUTES[route].scope else open_to.get(route, [])
        for route in documented
        if route in ROUTES
    }
    assert {route for route, row in ROUTES.items() if row.scope} <= set(documented)


def test_methods_without_a_row_are_405(client: Any) -> None:
    headers = of_key(MembershipFactory())
    for path, methods in routes():
        for method in set(METHODS) - methods:
            url = f"/api/v1/{filled(path, nothing)}"
            answer = client.generic(method, url, headers=headers)
            assert answer.status_code == 405, (method, path)


OF_THINGS = [route for route in ROUTES if "{" in route[1]]


@pytest.mark.parametrize("route", OF_THINGS, ids=" ".join)
def test_what_belongs_to_others_is_404_and_stays_as_it_is(client: Any, route: Route) -> None:
    things = Things()
    value = value_in(things, route[1])
    filled(route[1] + str(ROUTES[route].body), value)
    rows = [thing for thing in vars(things).values() if isinstance(thing, Model)]
    before = [type(row)._default_manager.filter(pk=row.pk).values().get() for row in rows]
    for mode in Mode:
        answer = ask(client, route, of_key(MembershipFactory(), mode), value)
        assert (answer.status_code, code_of(answer)) == (404, "NOT_FOUND")
    assert [type(row)._default_manager.filter(pk=row.pk).values().get() for row in rows] == before
    if route[0] == "GET" and not route[1].endswith("preflight"):  # the ids were right
        assert ask(client, route, of_key(things.member), value).status_code in (200, 409)


MODED = [
    route
    for route in OF_THINGS
    if not re.search(r"contact-lists|suppressions|uploads|inbound|senders|templates", route[1])
]


@pytest.mark.parametrize("route", MODED, ids=" ".join)
def test_what_is_live_is_404_for_a_test_key(client: Any, route: Route) -> None:
    things = Things()
    answer = ask(client, route, of_key(things.member, Mode.TEST), value_in(things, route[1]))
    assert (answer.status_code, code_of(answer)) == (404, "NOT_FOUND")
