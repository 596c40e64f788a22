"""The console's page on the hold, its front page, and what programs read at /health."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.security import sending_hold
from accounts.security.sending_hold import HoldKind
from messaging.restore import release
from messaging.sending.expansion import expand_ready
from reports.selectors import attention
from tests.support.factories import UserFactory, make_campaign
from tests.support.pages import INLINE

pytestmark = [pytest.mark.django_db, pytest.mark.once]
PAGE = "/admin/sending/"


def page_of(client: Client) -> str:
    answer = client.get(PAGE)
    assert answer.status_code == 200
    text = answer.content.decode()
    assert not INLINE.search(text)
    return text


def test_a_superuser_holds_and_releases(admin_client: Client) -> None:
    assert "Sending is on" in page_of(admin_client)
    admin_client.post(PAGE, {"act": "hold", "reason": "Wrong text"})
    held = sending_hold.current()
    assert held is not None
    assert (held.reason, held.by) == ("Wrong text", "admin")
    assert "Wrong text" in page_of(admin_client)
    answer = admin_client.post(PAGE, {"act": "release"}, follow=True)
    assert "Sending is released." in answer.content.decode()
    assert not sending_hold.is_held()


def test_a_hold_needs_a_reason(admin_client: Client) -> None:
    admin_client.post(PAGE, {"act": "hold", "reason": "  "})
    assert not sending_hold.is_held()


def test_the_page_says_what_would_be_sent(admin_client: Client) -> None:
    make_campaign(count=1234)
    expand_ready()
    sending_hold.hold("stop", "anna")
    assert "1,234" in page_of(admin_client)


def test_the_button_starts_the_comparison_of_a_copy_and_the_page_shows_how_far_it_is(admin_client: Client) -> None:
    make_campaign(count=3)
    expand_ready()
    sending_hold.hold("An older backup was put back.", "smsapp", kind=HoldKind.COPY, detail="of 12:00")
    assert "Also release messages of which the provider does not know" in page_of(admin_client)
    admin_client.post(PAGE, {"act": "release"})
    assert sending_hold.is_held()
    step = release.progress()
    assert step is not None
    assert (step.by, step.state, step.force) == ("admin", release.CHECKING, False)
    page = page_of(admin_client)
    assert "0 batches compared, 1 left" in page
    assert 'value="Release sending"' not in page


@pytest.mark.parametrize("is_staff", [False, True])
def test_nobody_else_may_see_or_use_it(client: Client, is_staff: bool) -> None:
    client.force_login(UserFactory(is_staff=is_staff))
    for answer in (client.get(PAGE), client.post(PAGE, {"act": "hold", "reason": "x"})):
        assert answer.status_code == (403 if is_staff else 302)
    assert not sending_hold.is_held()


def test_a_release_needs_a_form_of_ours() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    sending_hold.hold("stop", "anna")
    assert client.post(PAGE, {"act": "release"}).status_code == 403
    assert sending_hold.is_held()


def test_the_front_page_leads_to_it(admin_client: Client) -> None:
    assert PAGE in admin_client.get(reverse("admin:index")).content.decode()
    assert not [notice for notice in attention() if "held" in notice.title]
    sending_hold.hold("Wrong text", "anna")
    assert attention()[0].title == "Sending is held: Wrong text"
    page = admin_client.get(reverse("admin:index")).content.decode()
    assert "Sending is held: Wrong text" in page
    assert f'href="{PAGE}"' in page


@pytest.mark.parametrize("path", ["/health", "/api/v1/health"])
def test_health_says_that_sending_is_held_and_not_where_the_database_is(client: Client, path: str) -> None:
    quiet = client.get(path).json()["data"]
    assert (quiet["sending"], quiet["hold_reason"]) == ("on", None)
    sending_hold.hold("A copy.", "smsapp", kind=HoldKind.COPY, detail="It belongs to db.internal")
    answer = client.get(path)
    assert answer.status_code == 200
    held = answer.json()["data"]
    assert (held["status"], held["sending"], held["hold_reason"]) == ("DEGRADED", "held", "A copy.")
    assert "db.internal" not in answer.content.decode()
