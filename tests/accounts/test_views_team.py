"""The team's page: people taken in, their first password, other roles, and who decides."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from accounts import team
from accounts.choices import Role
from accounts.models import AuditEvent, Membership, User
from smsapp.exceptions import InvalidState, PermissionDenied
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> Membership:
    return MembershipFactory(role=Role.OWNER)


def test_a_new_person_chooses_a_password_once(client: Client, owner: Membership) -> None:
    client.force_login(owner.user)
    page = client.post(reverse("team"), {"email": "new@example.com", "role": "sender"}).content.decode()
    link = re.search(r'id="invitation">http://testserver([^<]+)<', page)
    assert link
    newcomer = Client()
    form = newcomer.get(link[1], follow=True)
    passwords = {"new_password1": "correct-horse-battery", "new_password2": "correct-horse-battery"}
    assert newcomer.post(form.redirect_chain[-1][0], passwords)["Location"] == reverse("sign-in")
    name = User.objects.get(email="new@example.com").username
    newcomer.post(reverse("sign-in"), {"username": name, "password": "correct-horse-battery"})
    assert owner.account.name in newcomer.get("/").content.decode()
    assert "has been used" in Client().get(link[1], follow=True).content.decode()
    assert AuditEvent.objects.filter(action="member.added", user=owner.user).count() == 1


def test_somebody_known_is_taken_in_at_once(client: Client, owner: Membership) -> None:
    known = MembershipFactory().user
    known.set_password("correct-horse-battery")
    known.save()
    client.force_login(owner.user)
    page = client.post(reverse("team"), {"email": known.email.upper(), "role": "viewer"}).content.decode()
    assert "belongs to the account now" in page
    assert 'id="invitation"' not in page
    assert owner.account.memberships.get(user=known).role == Role.VIEWER


@pytest.mark.parametrize("role", [Role.SENDER, Role.VIEWER])
def test_others_change_nobody(owner: Membership, role: Role) -> None:
    other = MembershipFactory(account=owner.account, role=role)
    for attempt in (
        lambda: team.add_member(other, "new@example.com", Role.VIEWER),
        lambda: team.change_role(other, other, Role.OWNER),
        lambda: team.remove_member(owner, other),
    ):
        with pytest.raises(PermissionDenied):
            attempt()
    assert owner.account.memberships.count() == 2
    assert not User.objects.filter(email="new@example.com").exists()


def test_an_admin_decides_about_everybody_but_owners(owner: Membership) -> None:
    admin = MembershipFactory(account=owner.account, role=Role.ADMIN)
    with pytest.raises(PermissionDenied):
        team.change_role(owner, admin, Role.VIEWER)
    with pytest.raises(PermissionDenied):
        team.change_role(admin, admin, Role.OWNER)
    with pytest.raises(PermissionDenied):
        team.add_member(admin, "boss@example.com", Role.OWNER)
    viewer = MembershipFactory(account=owner.account, role=Role.VIEWER)
    assert team.change_role(viewer, admin, Role.SENDER).role == Role.SENDER


def test_the_last_owner_stays(owner: Membership) -> None:
    with pytest.raises(InvalidState):
        team.remove_member(owner, owner)
    with pytest.raises(InvalidState):
        team.change_role(owner, owner, Role.ADMIN)
    second = MembershipFactory(account=owner.account, role=Role.OWNER)
    team.remove_member(owner, second)
    assert list(owner.account.memberships.all()) == [second]
