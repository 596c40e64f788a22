"""Signing in to the API: which tokens open, and every way in which one must not."""

import base64
import json
import time
from datetime import timedelta

import jwt
import pytest
from axes.models import AccessAttempt
from django.conf import settings as django_settings
from django.urls import reverse
from django.utils import timezone

from accounts.access import tokens
from accounts.choices import Role
from accounts.models import AuditEvent, TokenFamily
from tests.support.factories import AccountFactory, MembershipFactory, UserFactory
from tests.support.together import run_together

pytestmark = [pytest.mark.django_db, pytest.mark.once]

PASSWORD = "correct horse battery"
URL = "/api/v1/auth/token"
JWT = django_settings.SIMPLE_JWT


def post(client, path="", **body):
    return client.post(f"{URL}{path}", body, content_type="application/json")


def sign_in(client, membership, **more):
    return post(client, username=membership.user.username, password=PASSWORD, **more).json()["data"]


def refresh(client, text):
    return post(client, "/refresh", refresh_token=text)


def read(client, text):
    return client.get("/api/v1/campaigns", headers={"Authorization": f"Bearer {text}"})


def code(answer):
    return answer.status_code, answer.json()["error"]["code"]


def forged(text, key=JWT["SIGNING_KEY"], algorithm="HS256", headers=None, without=(), **claims):
    payload = jwt.decode(text, options={"verify_signature": False}) | claims
    return jwt.encode({k: v for k, v in payload.items() if k not in without}, key, algorithm, headers=headers)


@pytest.fixture
def member():
    return MembershipFactory(role=Role.SENDER)


@pytest.mark.parametrize("name", ["username", "email"])
def test_name_or_address_and_password_give_tokens_that_open(client, member, name):
    answer = post(client, username=getattr(member.user, name), password=PASSWORD)
    data = answer.json()["data"]
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    assert (data["token_type"], data["account_id"], data["role"]) == ("Bearer", member.account.public_id, "sender")
    assert 0 < data["expires_in"] <= 15 * 60
    assert read(client, data["access_token"]).status_code == 200
    claims = jwt.decode(data["access_token"], options={"verify_signature": False})
    assert claims["exp"] - time.time() <= 15 * 60
    assert (claims["iss"], claims["aud"], claims["token_type"]) == ("smsapp", "smsapp-api", "access")
    assert data["refresh_token"] not in str(list(TokenFamily.objects.values()))
    member.user.refresh_from_db()
    assert member.user.last_login is not None


def test_a_token_may_what_the_role_may_today(client, member):
    token = sign_in(client, member)["access_token"]
    headers = {"Authorization": f"bearer {token}"}
    body = {"name": "x", "mode": "live"}
    answer = client.post("/api/v1/api-keys", body, content_type="application/json", headers=headers)
    assert code(answer) == (403, "PERMISSION_DENIED")
    assert answer.json()["error"]["details"]["required_scope"] == "keys:write"
    member.role = Role.ADMIN
    member.save()
    answer = client.post("/api/v1/api-keys", body, content_type="application/json", headers=headers)
    assert answer.status_code == 201


def test_a_second_membership_changes_nothing_for_who_names_no_account(client, member):
    MembershipFactory(user=member.user, role=Role.VIEWER)
    assert sign_in(client, member)["account_id"] == member.account.public_id


def test_who_is_in_several_accounts_may_say_which(client, member):
    other = MembershipFactory(user=member.user, role=Role.VIEWER)
    strange = AccountFactory().public_id
    answer = post(client, username=member.user.username, password=PASSWORD, account_id=strange)
    assert code(answer) == (400, "VALIDATION_ERROR")
    details = answer.json()["error"]["details"]
    assert details["field"] == "account_id"
    assert {one["account_id"] for one in details["accounts"]} == {member.account.public_id, other.account.public_id}
    assert sign_in(client, member, account_id=other.account.public_id)["role"] == "viewer"
    for strange in (AccountFactory().public_id, AccountFactory().pk, 0, -1, 2**70, "x", "x" * 17):
        assert post(client, username=member.user.username, password=PASSWORD, account_id=strange).status_code == 400


def test_who_is_in_no_account_gets_no_token(client):
    answer = post(client, username=UserFactory().username, password=PASSWORD)
    assert code(answer) == (403, "PERMISSION_DENIED")
    assert not TokenFamily.objects.exists()


def test_a_wrong_name_and_a_wrong_password_are_one_refusal(client, member):
    disabled = MembershipFactory(user__is_active=False)
    answers = [
        post(client, username=member.user.username, password="wrong"),
        post(client, username=member.user.email, password="wrong"),
        post(client, username="nobody", password=PASSWORD),
        post(client, username="nobody@example.com", password=PASSWORD),
        post(client, username=disabled.user.username, password=PASSWORD),
    ]
    assert {code(answer) for answer in answers} == {(401, "INVALID_CREDENTIALS")}
    assert len({str(answer.json()["error"]) for answer in answers}) == 1
    assert answers[0]["WWW-Authenticate"]
    assert not TokenFamily.objects.exists()


@pytest.mark.parametrize("name", ["username", "email", "nobody"])
def test_the_tenth_wrong_password_locks_as_on_the_sign_in_page(client, member, name):
    username = getattr(member.user, name, name)
    for _ in range(9):
        assert code(post(client, username=username, password="wrong")) == (401, "INVALID_CREDENTIALS")
    for password in ("wrong", PASSWORD):
        answer = post(client, username=username, password=password)
        assert code(answer) == (429, "LOGIN_THROTTLED")
        assert answer["Retry-After"] == "900"
    if name != "nobody":  # one count, whichever door and whichever name
        page = client.post(reverse("sign-in"), {"username": member.user.username, "password": PASSWORD})
        assert page.status_code == 429
    assert not TokenFamily.objects.exists()


def test_failures_on_the_page_count_here_and_success_forgets_them(client, member):
    for _ in range(9):
        client.post(reverse("sign-in"), {"username": member.user.username, "password": "wrong"})
    assert sign_in(client, member)["access_token"]
    assert not AccessAttempt.objects.exists()
    for _ in range(10):
        answer = client.post(reverse("sign-in"), {"username": member.user.username, "password": "wrong"})
    assert answer.status_code == 429
    assert code(post(client, username=member.user.username, password=PASSWORD)) == (429, "LOGIN_THROTTLED")


def test_a_forged_address_header_opens_no_new_count(client, member):
    for n in range(10):
        client.post(
            URL,
            {"username": member.user.username, "password": "wrong"},
            content_type="application/json",
            headers={"X-Forwarded-For": f"198.51.100.{n}"},
        )
    assert code(post(client, username=member.user.username, password=PASSWORD)) == (429, "LOGIN_THROTTLED")


def test_calls_are_limited_by_address(client, member, settings):
    settings.API_RATE_REFUSED = 3
    for _ in range(3):
        refresh(client, "x")
    assert code(refresh(client, "x")) == (429, "RATE_LIMIT_EXCEEDED")


def test_a_refresh_token_is_good_once(client, member):
    first = sign_in(client, member)
    second = refresh(client, first["refresh_token"]).json()["data"]
    assert second["refresh_expires_at"] == first["refresh_expires_at"]
    assert read(client, second["access_token"]).status_code == 200
    third = refresh(client, second["refresh_token"])
    assert third.status_code == 200


@pytest.mark.parametrize("steps", [1, 2])
def test_an_old_refresh_token_ends_its_whole_family(client, member, steps):
    other = sign_in(client, member)
    pairs = [sign_in(client, member)]
    for _ in range(steps):
        pairs.append(refresh(client, pairs[-1]["refresh_token"]).json()["data"])
    assert code(refresh(client, pairs[0]["refresh_token"])) == (401, "TOKEN_INVALID")
    for pair in pairs:
        assert code(refresh(client, pair["refresh_token"])) == (401, "TOKEN_INVALID")
        assert code(read(client, pair["access_token"])) == (401, "TOKEN_INVALID")
    assert read(client, other["access_token"]).status_code == 200
    assert AuditEvent.objects.filter(action="token.reused").count() == 1


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_one_refresh_token_at_once_from_two_sides_ends_the_family(client):
    pair = sign_in(client, MembershipFactory())
    outcomes = []

    def exchange():
        try:
            outcomes.append(tokens.refresh(pair["refresh_token"]))
        except tokens.TokenInvalid:
            outcomes.append(None)

    run_together(*[exchange] * 4)
    assert sum(outcome is not None for outcome in outcomes) <= 1
    assert TokenFamily.objects.get().revoked_at is not None


def test_revoking_ends_access_at_once_and_twice_is_once(client, member):
    pair = sign_in(client, member)
    for _ in range(2):
        assert post(client, "/revoke", refresh_token=pair["refresh_token"]).json()["data"] == {"revoked": True}
    assert code(read(client, pair["access_token"])) == (401, "TOKEN_INVALID")
    assert code(refresh(client, pair["refresh_token"])) == (401, "TOKEN_INVALID")
    events = AuditEvent.objects.filter(action__startswith="token").order_by("pk")
    assert [event.action for event in events] == ["token.issued", "token.revoked"]


def disable(membership):
    membership.user.is_active = False
    membership.user.save()


def change_password(membership):
    membership.user.set_password("another horse battery")
    membership.user.save()


@pytest.mark.parametrize("loss", [disable, change_password, lambda membership: membership.delete()])
def test_what_ends_a_sign_in_ends_its_tokens_at_once(client, member, loss):
    pair = sign_in(client, member)
    loss(member)
    assert code(read(client, pair["access_token"])) == (401, "TOKEN_INVALID")
    assert code(refresh(client, pair["refresh_token"])) == (401, "TOKEN_INVALID")


FORGERIES = {
    "no signature": lambda text: _unsigned(text),
    "other algorithm, same key": lambda text: forged(text, algorithm="HS512"),
    "other key": lambda text: forged(text, key="k" * 64),
    "kid of an empty file": lambda text: forged(text, key="0" * 64, headers={"kid": "../../dev/null"}),
    "kid of a key of theirs": lambda text: forged(text, key="0" * 64, headers={"kid": "1", "jku": "http://127.0.0.1"}),
    "other audience": lambda text: forged(text, aud="another-api"),
    "no audience": lambda text: forged(text, without=["aud"]),
    "other issuer": lambda text: forged(text, iss="another"),
    "no issuer": lambda text: forged(text, without=["iss"]),
    "no type": lambda text: forged(text, without=["token_type"]),
    "no expiry": lambda text: forged(text, without=["exp"]),
    "no id": lambda text: forged(text, without=["jti"]),
    "other account": lambda text: forged(text, account=AccountFactory().pk),
    "other person": lambda text: forged(text, sub=str(UserFactory().pk)),
    "no family": lambda text: forged(text, without=["sid"]),
    "no person": lambda text: forged(text, without=["sub"]),
    "nonsense family": lambda text: forged(text, sid="x"),
    "nonsense person": lambda text: forged(text, sub="x"),
    "huge account": lambda text: forged(text, account=2**70),
    "nonsense account": lambda text: forged(text, account={"x": 1}),
    "cut": lambda text: text[:-3],
    "nothing": lambda text: "",
    "not a token": lambda text: "x.y.z",
    "not ascii": lambda text: "ü" + text,
}


def _unsigned(text):
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).rstrip(b"=").decode()
    return f"{header}.{text.split('.')[1]}."


@pytest.mark.parametrize("name", FORGERIES)
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_forged_tokens_are_refused(client, member, name, kind):
    pair = sign_in(client, member)
    text = FORGERIES[name](pair[kind])
    answer = read(client, text) if kind == "access_token" else refresh(client, text)
    if name == "nothing" and kind == "refresh_token":
        assert code(answer) == (400, "VALIDATION_ERROR")
    else:
        assert code(answer) == (401, "TOKEN_INVALID")
        assert answer["WWW-Authenticate"]
    assert read(client, pair["access_token"]).status_code == 200
    assert TokenFamily.objects.get().revoked_at is None


def test_expired_tokens_say_so(client, member):
    pair = sign_in(client, member)
    assert code(read(client, forged(pair["access_token"], exp=int(time.time()) - 1))) == (401, "TOKEN_EXPIRED")
    assert code(refresh(client, forged(pair["refresh_token"], exp=int(time.time()) - 1))) == (401, "TOKEN_EXPIRED")
    TokenFamily.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert tokens.purge(timezone.now()).removed == 1
    assert code(read(client, pair["access_token"])) == (401, "TOKEN_INVALID")


def test_one_kind_of_token_is_not_taken_for_the_other(client, member):
    pair = sign_in(client, member)
    assert code(read(client, pair["refresh_token"])) == (401, "TOKEN_INVALID")
    assert code(refresh(client, pair["access_token"])) == (401, "TOKEN_INVALID")
    assert code(post(client, "/revoke", refresh_token=pair["access_token"])) == (401, "TOKEN_INVALID")
    assert read(client, pair["access_token"]).status_code == 200


def test_an_access_token_costs_one_query(member, django_assert_num_queries):
    pair = tokens.sign_in(member.user)
    with django_assert_num_queries(1):
        family, role = tokens.check_access_token(pair.access_token)
        assert (family.account, family.user, role) == (member.account, member.user, Role.SENDER)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": "a"},
        {"username": "a\x00", "password": "b"},
        {"username": "a", "password": ["b"]},
        {"username": "a" * 300, "password": "b"},
        {"username": "a", "password": "b" * 5000},
        {"username": "a", "password": "b", "role": "owner"},
        {"username": {"x": 1}, "password": "b"},
        {"username": "\ud800", "password": "b"},
        {"username": "a", "password": "\ud800"},
    ],
)
def test_bad_input_is_400_and_shows_no_password(client, body):
    answer = client.post(URL, json.dumps(body), content_type="application/json")
    assert answer.status_code in (400, 401)
    assert "bbbb" not in answer.content.decode()


def test_no_log_line_holds_a_password_or_a_token(client, member, caplog):
    caplog.set_level("DEBUG")
    pair = sign_in(client, member)
    refresh(client, pair["refresh_token"])
    refresh(client, pair["refresh_token"])
    post(client, username=member.user.username, password="wrong-canary")
    for secret in (pair["access_token"][-20:], pair["refresh_token"][-20:], PASSWORD, "wrong-canary"):
        assert secret not in caplog.text
