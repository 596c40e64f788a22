"""The team's page: people invited and how they come to belong, other roles, who decides; e-mail addresses."""

import re
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from accounts.access import invitations, members
from accounts.choices import Mode, Role
from accounts.dashboard.workspace import Workspace
from accounts.models import AuditEvent, Invitation, Membership, User
from smsapp.core.exceptions import AlreadyExists, InvalidState, PermissionDenied
from tests.support.factories import AccountFactory, MembershipFactory
from tests.support.pages import Browser

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def owner() -> Membership:
    return MembershipFactory(role=Role.OWNER)


PASSWORD = "correct horse battery"


def invited(owner: Membership, email: str, role: str = "sender") -> str:
    """The path of the link that the team page shows."""
    client = Browser()
    client.force_login(owner.user)
    page = client.post(reverse("team"), {"email": email, "role": role}).content.decode()
    client.close()
    link = re.search(r'id="invitation">http://testserver([^<]+)<', page)
    assert link, page
    return link[1]


def test_somebody_new_chooses_a_password_once_and_signs_in_with_the_address(owner: Membership) -> None:
    link = invited(owner, "New@Example.com")
    assert not User.objects.filter(email="new@example.com").exists()
    newcomer = Client()
    passwords = {"new_password1": PASSWORD, "new_password2": PASSWORD}
    assert newcomer.post(link, passwords)["Location"] == reverse("sign-in")
    newcomer.post(reverse("sign-in"), {"username": "NEW@example.com", "password": PASSWORD})
    assert owner.account.name in newcomer.get("/", follow=True).content.decode()
    assert Client().get(link).status_code == 404
    assert Client().post(link, passwords).status_code == 404
    assert list(AuditEvent.objects.filter(action__startswith="invitation").values_list("action", flat=True)) == [
        "invitation.made",
        "invitation.accepted",
    ]


def test_a_weak_password_makes_nobody(owner: Membership) -> None:
    link = invited(owner, "new@example.com")
    assert Client().post(link, {"new_password1": "short", "new_password2": "short"}).status_code == 200
    assert not User.objects.filter(email="new@example.com").exists()


def test_somebody_known_is_asked_and_belongs_to_nothing_before_they_agree(client: Browser, owner: Membership) -> None:
    known = MembershipFactory().user
    link = invited(owner, known.email.upper(), "viewer")
    assert client.get(link)["Location"].startswith(reverse("sign-in"))
    client.force_login(known)
    assert owner.account.name in client.get(link).content.decode()
    assert not owner.account.memberships.filter(user=known).exists()
    assert client.post(link)["Location"] == Workspace(owner.account.public_id, Mode.LIVE).address()
    assert owner.account.memberships.get(user=known).role == Role.VIEWER
    client.enter(owner.account)
    assert client.get("/").context["request"].membership.account == owner.account


@pytest.mark.parametrize("has_password", [True, False])
@pytest.mark.parametrize("is_superuser", [True, False])
def test_an_invitation_never_gives_a_person_who_exists_to_the_inviter(
    client: Client, owner: Membership, has_password: bool, is_superuser: bool
) -> None:
    victim = MembershipFactory(user__is_superuser=is_superuser, user__is_staff=is_superuser).user
    if not has_password:
        victim.set_unusable_password()
        victim.save()
    before = victim.password
    link = invited(owner, victim.email)
    answer = client.post(link, {"new_password1": PASSWORD, "new_password2": PASSWORD})
    assert answer["Location"].startswith(reverse("sign-in"))
    client.force_login(owner.user)
    assert client.post(link).status_code == 200  # it is not for them
    victim.refresh_from_db()
    assert victim.password == before
    assert victim.memberships.count() == 1


def test_a_link_is_nothing_for_somebody_else_who_has_it(client: Client, owner: Membership) -> None:
    link, stranger = invited(owner, MembershipFactory().user.email), MembershipFactory().user
    client.force_login(stranger)
    assert "for another e-mail address" in client.get(link).content.decode()
    assert client.post(link).status_code == 200
    assert stranger.memberships.count() == 1
    assert Invitation.objects.count() == 1


def test_an_invitation_of_one_account_completes_none_of_another(client: Client, owner: Membership) -> None:
    other = MembershipFactory(role=Role.OWNER)
    person = MembershipFactory().user
    first, _ = invited(owner, person.email), invited(other, person.email)
    client.force_login(person)
    client.post(first)
    assert set(person.memberships.values_list("account", flat=True)) >= {owner.account_id}
    assert not other.account.memberships.filter(user=person).exists()


@pytest.mark.parametrize("ends", ["withdrawn", "replaced", "too old", "inviter removed", "inviter demoted"])
def test_a_link_that_has_ended_gives_nothing(client: Client, owner: Membership, ends: str) -> None:
    admin = MembershipFactory(account=owner.account, role=Role.ADMIN)
    person = MembershipFactory().user
    link = invited(admin, person.email)
    made = Invitation.objects.get()
    match ends:
        case "withdrawn":
            invitations.withdraw(owner, made.pk)
        case "replaced":
            invited(owner, person.email)
        case "too old":
            Invitation.objects.update(expires_at=made.created_at)
        case "inviter removed":
            members.remove_member(admin, owner)
        case "inviter demoted":
            members.change_role(admin, owner, Role.SENDER)
    client.force_login(person)
    assert client.get(link).status_code == 404
    assert client.post(link).status_code == 404
    assert person.memberships.count() == 1


def test_the_secret_of_a_link_is_not_stored(owner: Membership) -> None:
    secret = invited(owner, "new@example.com").rstrip("/").rsplit("/", 1)[1]
    assert secret not in str(list(Invitation.objects.values()))
    assert secret not in str(list(AuditEvent.objects.values()))


def test_who_belongs_to_the_account_is_not_invited_again(owner: Membership) -> None:
    with pytest.raises(AlreadyExists):
        invitations.invite(owner, owner.user.email.upper(), Role.VIEWER)


def test_open_invitations_count_among_the_members(owner: Membership, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MAX_MEMBERS", 2)
    invitations.invite(owner, "one@example.com", Role.VIEWER)
    invitations.invite(owner, "One@example.com", Role.SENDER)
    with pytest.raises(InvalidState):
        invitations.invite(owner, "two@example.com", Role.VIEWER)


def test_another_account_withdraws_nothing(client: Client, owner: Membership) -> None:
    invited(owner, "new@example.com")
    client.force_login(MembershipFactory(role=Role.OWNER).user)
    address = reverse("invitation-withdraw", args=[Invitation.objects.get().pk])
    assert client.post(address).status_code == 404
    assert Invitation.objects.count() == 1


def test_an_operator_invites_the_first_person(admin_client: Client, client: Client) -> None:
    account = AccountFactory()
    data = {"account": account.pk, "email": "Boss@example.com", "role": "owner"}
    page = admin_client.post(reverse("admin:accounts_invitation_add"), data, follow=True).content.decode()
    link = re.search(r"http://testserver(/accounts/invitations/[^\s<]+)", page)
    assert link
    client.post(link[1], {"new_password1": PASSWORD, "new_password2": PASSWORD})
    assert account.memberships.get().role == Role.OWNER


class TestEmail:
    """It names a person: one spelling, one person, and only with the password another."""

    @pytest.fixture
    def person(self, client: Client, owner: Membership) -> User:
        client.force_login(owner.user)
        return owner.user

    def change(self, client: Client, **data: str) -> Any:
        return client.post(reverse("profile"), {"act": "profile"} | data)

    def test_is_not_changed_without_the_password(self, client: Client, person: User) -> None:
        for wrong in ({}, {"current_password": "wrong"}):
            assert "current password" in self.change(client, email="new@example.com", **wrong).content.decode()
        assert User.objects.get(pk=person.pk).email == person.email

    def test_is_changed_with_it_and_noted(self, client: Client, person: User) -> None:
        before = person.email
        assert self.change(client, email="New@Example.com", current_password=PASSWORD).status_code == 302
        assert User.objects.get(pk=person.pk).email == "new@example.com"
        event = AuditEvent.objects.get(action="user.email_changed")
        assert (event.user, event.before, event.after) == (person, {"email": before}, {"email": "new@example.com"})

    def test_a_name_is_changed_without(self, client: Client, person: User) -> None:
        assert self.change(client, email=person.email.upper(), first_name="Anna").status_code == 302
        assert User.objects.get(pk=person.pk).first_name == "Anna"

    def test_of_somebody_else_in_another_case_is_refused(self, client: Client, person: User) -> None:
        other = MembershipFactory().user
        page = self.change(client, email=other.email.title(), current_password=PASSWORD).content.decode()
        assert "Another user has this address" in page

    def test_is_unique_whatever_its_case_in_the_database_too(self, person: User) -> None:
        other = MembershipFactory().user
        with pytest.raises(IntegrityError), transaction.atomic():
            User.objects.filter(pk=person.pk).update(email=other.email.upper())


@pytest.mark.parametrize("role", [Role.SENDER, Role.VIEWER])
def test_others_change_nobody(owner: Membership, role: Role) -> None:
    other = MembershipFactory(account=owner.account, role=role)
    for attempt in (
        lambda: invitations.invite(other, "new@example.com", Role.VIEWER),
        lambda: members.change_role(other, other, Role.OWNER),
        lambda: members.remove_member(owner, other),
    ):
        with pytest.raises(PermissionDenied):
            attempt()
    assert owner.account.memberships.count() == 2
    assert not Invitation.objects.exists()


def test_an_admin_decides_about_everybody_but_owners(owner: Membership) -> None:
    admin = MembershipFactory(account=owner.account, role=Role.ADMIN)
    with pytest.raises(PermissionDenied):
        members.change_role(owner, admin, Role.VIEWER)
    with pytest.raises(PermissionDenied):
        members.change_role(admin, admin, Role.OWNER)
    with pytest.raises(PermissionDenied):
        invitations.invite(admin, "boss@example.com", Role.OWNER)
    viewer = MembershipFactory(account=owner.account, role=Role.VIEWER)
    assert members.change_role(viewer, admin, Role.SENDER).role == Role.SENDER


@pytest.mark.parametrize("role", Role)
def test_nobody_changes_their_own_role(client: Client, owner: Membership, role: Role) -> None:
    admin = MembershipFactory(account=owner.account, role=Role.ADMIN)
    with pytest.raises(PermissionDenied):
        members.change_role(admin, admin, role)
    client.force_login(admin.user)
    page = client.get(reverse("team")).content.decode()
    assert f'action="{reverse("team-change", args=[owner.pk])}"' in page
    assert page.count(f'action="{reverse("team-change", args=[admin.pk])}"') == 1, "leaving is all they may do"


def test_the_last_owner_stays(owner: Membership) -> None:
    with pytest.raises(InvalidState):
        members.remove_member(owner, owner)
    second = MembershipFactory(account=owner.account, role=Role.OWNER)
    members.remove_member(owner, second)
    assert list(owner.account.memberships.all()) == [second]
