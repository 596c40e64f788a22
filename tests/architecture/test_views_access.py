"""Who may open what in the dashboard: every page and every act, for every role, for strangers and for other accounts.

A new address is one line in tests/support/page_routes.py.
"""

import pytest
from django.test import Client

from accounts.choices import SCOPES_OF, Role, Scope
from accounts.models import Invitation, Membership, SenderId, WebhookEndpoint
from tests.support.factories import AccountFactory, MembershipFactory
from tests.support.page_routes import PAGES, URLS, World, address

pytestmark = [pytest.mark.django_db, pytest.mark.once]


OPEN = {"sign-in", "sign-out", "invitation"}
#: Acts with a GET page of the same address, which is open to whoever may read.
BOTH = ("contact-lists", "contact-list", "opt-outs", "senders", "account-settings")
BOTH_SCOPE = dict(zip(BOTH, [Scope.CONTACTS_WRITE] * 3 + [Scope.ACCOUNT_WRITE] * 2, strict=True))


def test_every_address_has_a_row() -> None:
    assert set(URLS) == set(PAGES) | OPEN


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("role", Role)
def test_a_role_may_what_its_scopes_say_and_no_more(client: Client, world: World, role: Role) -> None:
    client.force_login(MembershipFactory(account=world.account, role=role).user)
    wrong = {}
    for name, door in PAGES.items():
        may = door.scope is None or door.scope in SCOPES_OF[role]
        url = address(name, world.things())
        status = getattr(client, door.method)(url).status_code
        if (status == 403) is may or status >= 500:
            wrong[name] = status
        if name in BOTH_SCOPE and BOTH_SCOPE[name] not in SCOPES_OF[role] and client.post(url).status_code != 403:
            wrong[f"POST {name}"] = "not refused"
    assert wrong == {}


def test_strangers_are_asked_to_sign_in(client: Client, world: World) -> None:
    for name, door in PAGES.items():
        answer = getattr(client, door.method)(address(name, world.things()))
        assert (answer.status_code, answer["Location"].startswith("/accounts/sign-in/")) == (302, True), name


def test_things_of_another_account_are_404_and_stay_as_they_are(client: Client, world: World) -> None:
    client.force_login(MembershipFactory(account=AccountFactory(), role=Role.OWNER).user)
    status = world.campaign.status
    for name, door in PAGES.items():
        if URLS[name].pattern.converters:
            answer = getattr(client, door.method)(address(name, world.things()))
            assert answer.status_code == 404 or name in ("sender-withdraw", "key-rotate", "key-revoke"), name
    assert SenderId.objects.filter(pk=world.sender.pk).exists()
    world.key.refresh_from_db()
    assert world.key.is_usable
    assert Membership.objects.filter(pk=world.other.pk).exists()
    assert Invitation.objects.filter(pk=world.invitation.pk).exists()
    assert WebhookEndpoint.objects.filter(pk=world.endpoint.pk, is_active=True).exists()
    world.campaign.refresh_from_db()
    assert (world.campaign.status, world.campaign.pause_reason) == (status, "")


@pytest.mark.parametrize("name", [name for name, door in PAGES.items() if door.method == "get"])
def test_nonsense_in_the_address_is_no_error(client: Client, world: World, name: str) -> None:
    client.force_login(MembershipFactory(account=world.account, role=Role.OWNER).user)
    url = address(name, world.things())
    for query in ("before=x", "before=99999999999999999999", "days=7%27", "number=%00", "status=nonsense", "since=x"):
        assert client.get(f"{url}?{query}").status_code < 500, query
