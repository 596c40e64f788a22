"""An operator with every permission but not all rights gains none, by no page; what is done to rights is audited."""

from typing import Any

import pytest
from axes.models import AccessAttempt, AccessLog
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEvent, User
from smsapp.console.admin import Audited
from tests.support.factories import MembershipFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.once]

PASSWORD = "another horse battery staple"


@pytest.fixture
def operator() -> User:
    person = UserFactory(is_staff=True)
    person.user_permissions.set(Permission.objects.all())
    return person


@pytest.fixture
def console(client: Client, operator: User) -> Client:
    client.force_login(operator)
    return client


def form_of(person: User, **changes: Any) -> dict[str, Any]:
    return {
        "username": person.username,
        "email": person.email,
        "is_active": "on",
        "memberships-TOTAL_FORMS": 0,
        "memberships-INITIAL_FORMS": 0,
    } | changes


def page(person: User, name: str = "accounts_user_change") -> str:
    return reverse(f"admin:{name}", args=[person.pk])


RIGHTS = {"is_superuser": "on", "is_staff": "on"}


def test_nobody_makes_a_customer_an_operator(console: Client) -> None:
    person = UserFactory()
    group = Group.objects.create(name="All")
    permission = Permission.objects.all()[0]
    changes = RIGHTS | {"groups": [group.pk], "user_permissions": [permission.pk], "first_name": "Anna"}
    assert console.post(page(person), form_of(person, **changes)).status_code == 302
    person.refresh_from_db()
    assert (person.first_name, person.is_staff, person.is_superuser) == ("Anna", False, False)
    assert not person.groups.exists()
    assert not person.user_permissions.exists()


@pytest.mark.parametrize("who", ["themselves", "another operator", "a superuser"])
def test_operators_are_not_changed(console: Client, operator: User, who: str) -> None:
    person = {
        "themselves": lambda: operator,
        "another operator": lambda: UserFactory(is_staff=True),
        "a superuser": lambda: UserFactory(is_superuser=True),
    }[who]()
    before = User.objects.filter(pk=person.pk).values().get()
    passwords = {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    assert console.post(page(person), form_of(person, **RIGHTS, email="taken@example.com")).status_code == 403
    assert console.post(page(person, "auth_user_password_change"), passwords).status_code == 403
    assert User.objects.filter(pk=person.pk).values().get() == before


def test_a_new_person_has_no_rights(console: Client) -> None:
    data = {
        "username": "new",
        "email": "new@example.com",
        "usable_password": "true",
        "password1": PASSWORD,
        "password2": PASSWORD,
    }
    assert console.post(reverse("admin:accounts_user_add"), data | RIGHTS).status_code == 302
    person = User.objects.get(username="new")
    assert (person.is_staff, person.is_superuser) == (False, False)


def test_groups_are_superusers_own(console: Client) -> None:
    group = Group.objects.create(name="Support")
    everything = {"name": "Support", "permissions": list(Permission.objects.values_list("pk", flat=True))}
    assert console.post(reverse("admin:auth_group_add"), everything | {"name": "New"}).status_code == 403
    assert console.post(reverse("admin:auth_group_change", args=[group.pk]), everything).status_code == 403
    assert console.post(reverse("admin:auth_group_delete", args=[group.pk]), {"post": "yes"}).status_code == 403
    assert not group.permissions.exists()


def test_a_superuser_gives_rights_and_the_audit_log_says_which(admin_client: Client) -> None:
    person = UserFactory()
    group = Group.objects.create(name="Support")
    admin_client.post(page(person), form_of(person, is_staff="on", groups=[group.pk]))
    event = AuditEvent.objects.get(action="console.user_changed")
    assert event.before == {"is_staff": False, "groups": []}
    assert (event.after["is_staff"], event.after["groups"]) == (True, ["Support"])
    admin_client.post(reverse("admin:auth_group_change", args=[group.pk]), {"name": "Help"})
    assert AuditEvent.objects.filter(action="console.group_changed").exists()


@pytest.mark.parametrize("model", list(admin.site._registry), ids=lambda model: model.__name__)
def test_every_page_of_the_console_is_audited(model: Any) -> None:
    assert isinstance(admin.site._registry[model], Audited)


def test_lifting_a_lock_out_is_audited_and_sign_ins_are_kept(admin_client: Client) -> None:
    attempt = AccessAttempt.objects.create(username="x", failures_since_start=10, ip_address="203.0.113.1")
    admin_client.post(reverse("admin:axes_accessattempt_delete", args=[attempt.pk]), {"post": "yes"})
    assert AuditEvent.objects.filter(action="console.accessattempt_deleted").count() == 1
    log = AccessLog.objects.create(username="x")
    url = reverse("admin:axes_accesslog_delete", args=[log.pk])
    assert admin_client.post(url, {"post": "yes"}).status_code == 403


class TestSigningIn:
    def events(self) -> list[tuple[str, str]]:
        found = AuditEvent.objects.filter(action__startswith="user.sign").order_by("pk")
        return list(found.values_list("action", "target_id"))

    def test_in_and_out_and_failures_are_events(self, client: Client) -> None:
        name = MembershipFactory().user.username
        for given, password in ((name, "wrong"), ("my password", "x"), (name, "correct horse battery")):
            client.post(reverse("sign-in"), {"username": given, "password": password})
        client.post(reverse("sign-out"))
        assert self.events() == [
            ("user.sign_in_failed", name),
            ("user.sign_in_failed", ""),
            ("user.signed_in", name),
            ("user.signed_out", name),
        ]

    def test_those_of_the_api_too(self, client: Client) -> None:
        name = MembershipFactory().user.username
        for password in ("wrong", "correct horse battery"):
            data = {"username": name, "password": password}
            client.post("/api/v1/auth/token", data, content_type="application/json")
        assert self.events() == [("user.sign_in_failed", name), ("user.signed_in", name)]


def test_a_hold_and_its_release_are_events(admin_client: Client, admin_user: User) -> None:
    admin_client.post(reverse("sending"), {"act": "hold", "reason": "Wrong text"})
    admin_client.post(reverse("sending"), {"act": "release"})
    held, released = AuditEvent.objects.filter(action__startswith="sending").order_by("pk")
    assert (held.action, held.user, held.after["reason"]) == ("sending.held", admin_user, "Wrong text")
    assert (released.action, released.user) == ("sending.release_requested", admin_user)


def test_exports_are_events(client: Client) -> None:
    member = MembershipFactory()
    client.force_login(member.user)
    assert client.get(reverse("days-csv")).status_code == 200
    assert AuditEvent.objects.filter(action="report.exported", user=member.user, account=member.account).count() == 1
