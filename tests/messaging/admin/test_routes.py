"""The console's page of routes, as an operator uses it."""

from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from messaging.choices import GatewayKind
from messaging.gateways import registry
from messaging.models import Gateway, Route
from messaging.routing import router
from messaging.routing.coverage import Reach, warning_of
from messaging.routing.router import Router
from tests.support.factories import AccountFactory, in_use

pytestmark = [pytest.mark.django_db, pytest.mark.once]

ADD = reverse("admin:messaging_route_add")


@pytest.fixture(autouse=True)
def fresh(settings: Any) -> Any:
    settings.GATEWAYS_READ_EVERY = 0.0
    registry.reset()
    router.forget()
    yield
    registry.reset()
    router.forget()


@pytest.fixture
def local() -> Gateway:
    row = Gateway(name="local", kind=GatewayKind.INFOBIP, base_url="http://127.0.0.1:9", **in_use())
    row.secrets = {"api_key": "key"}
    row.save()
    return row


def filled(gateway: str, prefix: str = "", **values: Any) -> dict[str, Any]:
    return {"gateway": gateway, "prefix": prefix, "priority": "100", "weight": "1", "is_enabled": "on"} | values


def errors(response: Any) -> dict[str, Any]:
    return dict(response.context["adminform"].form.errors) if response.status_code == 200 else {}


def told(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def test_the_first_route_says_what_it_leaves_without_one_and_asks(admin_client: Client, local: Gateway) -> None:
    refused = admin_client.post(ADD, filled("local", "43"))
    (words,) = errors(refused)["may_leave_out"]
    assert words.startswith("From now on, messages to others than +43 have no route and wait")
    assert not Route.objects.exists()
    assert admin_client.post(ADD, filled("local", "43", may_leave_out="on")).status_code == 302
    assert Route.objects.get().prefix == "43"


def test_a_route_for_every_number_first_and_nobody_is_asked(admin_client: Client, local: Gateway) -> None:
    assert admin_client.post(ADD, filled("local")).status_code == 302
    assert admin_client.post(ADD, filled("local", "43")).status_code == 302


@pytest.mark.parametrize("spelling", ["43", "+43", " + 43"])
def test_a_prefix_may_be_written_with_a_plus(admin_client: Client, local: Gateway, spelling: str) -> None:
    assert admin_client.post(ADD, filled("local", spelling, may_leave_out="on")).status_code == 302
    assert Route.objects.get().prefix == "43"


@pytest.mark.parametrize("wrong", ["043", "4x", "++43", "123456789"])
def test_what_is_no_prefix_is_refused(admin_client: Client, local: Gateway, wrong: str) -> None:
    assert "prefix" in errors(admin_client.post(ADD, filled("local", wrong, may_leave_out="on")))


def test_switching_a_route_off_asks_and_deleting_it_tells(admin_client: Client, local: Gateway) -> None:
    all_numbers, german = Route.objects.create(gateway=local), Route.objects.create(gateway=local, prefix="49")
    page = reverse("admin:messaging_route_change", args=[all_numbers.pk])
    (words,) = errors(admin_client.post(page, filled("local", is_enabled="")))["may_leave_out"]
    assert "others than +49" in words
    assert admin_client.post(page, filled("local")).status_code == 302, "nothing was changed"
    response = admin_client.post(reverse("admin:messaging_route_delete", args=[all_numbers.pk]), {"post": "yes"})
    assert words.split(" Add a route")[0] in told(response)
    changelist = reverse("admin:messaging_route_changelist")
    chosen = {"action": "delete_selected", "_selected_action": [german.pk], "post": "yes"}
    response = admin_client.post(changelist, chosen)
    assert sum("have no route" in words for words in told(response)) == 1, "the preferred gateway takes all again"


def test_the_gateway_of_the_environment_can_be_chosen(admin_client: Client, settings: Any, local: Gateway) -> None:
    settings.INFOBIP_BASE_URL, settings.INFOBIP_API_KEY = "http://127.0.0.1:8", "theirs"
    registry.reset()
    form = admin_client.get(ADD).context["adminform"].form
    assert [name for name, _ in form.fields["gateway"].choices] == ["", "infobip", "local"]
    assert admin_client.post(ADD, filled("infobip")).status_code == 302
    setup = registry.setup_of("infobip")
    assert setup is not None
    assert (setup.base_url, setup.secrets, setup.is_enabled) == ("http://127.0.0.1:8", {"api_key": "theirs"}, True)
    choice = Router(1, "", "live").choose("")
    assert choice is not None
    assert choice.gateway == "infobip"
    page = reverse("admin:messaging_route_change", args=[Route.objects.get().pk])
    assert admin_client.get(page).context["adminform"].form.initial["gateway"] == "infobip"


def test_the_simulator_can_be_chosen_where_messages_go_there(admin_client: Client, caplog: Any) -> None:
    assert admin_client.post(ADD, filled("simulator")).status_code == 302
    assert Route.objects.get().gateway.name == "simulator"
    choice = Router(1, "", "live").choose("")
    assert choice is not None
    assert choice.gateway == "simulator"
    assert "cannot be used" not in caplog.text


def test_what_is_left_out_is_told_by_account_and_sender() -> None:
    shop, every = Reach("Shop"), Reach()
    assert warning_of([every, shop], [every]) == ""
    assert "any number of account Shop" in warning_of([Reach(prefix="43"), shop], [Reach(prefix="43")])
    assert "others than any number of account Shop" in warning_of([every], [shop])
    assert warning_of([Reach(prefix="43")], [Reach(prefix="43"), Reach(prefix="44")]) == ""
    assert "+4366" in warning_of([Reach(prefix="4366"), Reach(prefix="49")], [Reach(prefix="49")])
    assert "no live message has a route" in warning_of([every], [])


def test_a_route_of_one_account_asks_too(admin_client: Client, local: Gateway) -> None:
    account = AccountFactory()
    refused = admin_client.post(ADD, filled("local", account=str(account.pk)))
    assert "may_leave_out" in errors(refused)
