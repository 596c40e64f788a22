"""The session of the dashboard opens the API, too, with a CSRF token; and which pages of others may call it."""

import pytest
from django.test import Client

from accounts.choices import Mode, Role
from accounts.models import SenderId
from campaigns.models import Campaign
from tests.support.factories import MembershipFactory, UserFactory, make_api_key

pytestmark = [pytest.mark.django_db, pytest.mark.once]

URL = "/api/v1/senders"
SHOP = "https://shop.example.com"


@pytest.fixture
def browser():
    return Client(enforce_csrf_checks=True)


def signed_in(browser, membership):
    """The CSRF token of a page that the person looks at."""
    browser.force_login(membership.user)
    browser.get("/accounts/sign-in/")  # any page with a form
    browser.get("/", follow=True)
    return browser.cookies["csrftoken"].value if "csrftoken" in browser.cookies else ""


def ask(browser, token="", membership=None, mode=Mode.LIVE, **headers):
    body = {"sender_id": "YourBrand"}
    headers = headers | ({"X-CSRFToken": token} if token else {})
    if membership:
        headers |= {"X-Workspace": f"{membership.account.public_id}/{mode}"}
    return browser.post(URL, body, content_type="application/json", headers=headers)


def code(answer):
    return answer.status_code, answer.json()["error"]["code"]


def test_a_session_reads_and_writes_with_its_csrf_token_only(browser):
    membership = MembershipFactory()
    token = signed_in(browser, membership)
    assert browser.get(URL).status_code == 200
    for wrong in ("", "x" * 32, "x" * 64):
        assert code(ask(browser, wrong)) == (403, "CSRF_FAILED")
    assert not SenderId.objects.exists()
    assert token
    assert ask(browser, token, membership).status_code == 201
    assert SenderId.objects.get().account == membership.account


def test_another_sites_page_is_refused_even_with_the_token(browser):
    token = signed_in(browser, MembershipFactory())
    assert code(ask(browser, token, Origin=SHOP)) == (403, "CSRF_FAILED")
    assert not SenderId.objects.exists()


def test_a_session_writes_in_the_account_and_mode_that_the_call_names(browser):
    first = MembershipFactory()
    second = MembershipFactory(user=first.user, role=Role.VIEWER)
    token = signed_in(browser, first)
    assert code(ask(browser, token)) == (403, "PERMISSION_DENIED"), "no account is named"
    for wrong in (
        f"{first.account.public_id}/demo",
        first.account.public_id,
        f"{MembershipFactory().account.public_id}/live",
    ):
        assert code(ask(browser, token, **{"X-Workspace": wrong})) == (403, "PERMISSION_DENIED")
    assert code(ask(browser, token, second)) == (403, "PERMISSION_DENIED"), "a viewer"
    assert ask(browser, token, first).status_code == 201
    assert SenderId.objects.get().account == first.account


def test_what_a_session_sends_in_test_mode_is_a_test(browser):
    membership = MembershipFactory()
    token = signed_in(browser, membership)
    headers = {"X-CSRFToken": token, "X-Workspace": f"{membership.account.public_id}/test"}
    body = {"phone_numbers": ["+4915112345678"], "message": "Hello"}
    answer = browser.post("/api/v1/sms/send", body, content_type="application/json", headers=headers)
    assert answer.status_code == 202, answer.json()
    assert Campaign.objects.get().mode == Mode.TEST


def test_who_belongs_to_no_account_or_is_disabled_gets_nothing(browser):
    browser.force_login(UserFactory())
    assert code(browser.get(URL)) == (403, "PERMISSION_DENIED")
    membership = MembershipFactory()
    browser.force_login(membership.user)
    membership.user.is_active = False
    membership.user.save()
    assert code(browser.get(URL)) == (401, "AUTHENTICATION_REQUIRED")


def test_a_key_beside_a_session_counts_alone_and_needs_no_csrf_token(browser):
    signed_in(browser, MembershipFactory())
    key, text = make_api_key()
    answer = ask(browser, **{"X-API-Key": text})
    assert answer.status_code == 201
    assert SenderId.objects.get().account == key.account
    assert code(browser.get(URL, headers={"X-API-Key": "wrong"})) == (401, "INVALID_CREDENTIALS")


def preflight(client, url=URL, origin=SHOP):
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-api-key,content-type,idempotency-key",
    }
    return client.options(url, headers=headers)


def test_no_page_of_others_may_call_unless_it_is_configured(client):
    assert "Access-Control-Allow-Origin" not in preflight(client)
    assert "Access-Control-Allow-Origin" not in client.get(URL, headers={"Origin": SHOP})


def test_a_configured_page_may_call_the_api_and_nothing_else_and_never_with_cookies(client, settings):
    settings.CORS_ALLOWED_ORIGINS = [SHOP]
    allowed = preflight(client)
    assert allowed["Access-Control-Allow-Origin"] == SHOP
    assert {"x-api-key", "authorization", "idempotency-key"} <= set(allowed["Access-Control-Allow-Headers"].split(", "))
    refused = client.get(URL, headers={"Origin": SHOP})
    assert (refused.status_code, refused["Access-Control-Allow-Origin"]) == (401, SHOP)  # the page reads why
    assert "ratelimit" in refused["Access-Control-Expose-Headers"]
    for answer in (allowed, refused):
        assert "Access-Control-Allow-Credentials" not in answer
    for origin in ("https://evil.example.com", "http://shop.example.com", "https://shop.example.com.evil.com", "null"):
        assert "Access-Control-Allow-Origin" not in preflight(client, origin=origin)
    for url in ("/admin/", "/", "/health", "/accounts/sign-in/"):
        assert "Access-Control-Allow-Origin" not in preflight(client, url)
