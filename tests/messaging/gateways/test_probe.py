"""A gateway is off until a test has passed, and preferred only because an operator said so."""

from importlib import import_module
from typing import Any

import orjson
import pytest
from django.apps import apps
from django.contrib.messages import get_messages
from django.db import IntegrityError, OperationalError, transaction
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEvent
from campaigns.choices import CampaignStatus
from messaging.choices import BatchState, GatewayKind
from messaging.gateways import probe, registry
from messaging.models import Batch, Gateway, Route
from messaging.routing import failover, router
from messaging.routing.router import Router
from messaging.sending import expansion
from smsapp.core.exceptions import ServiceUnavailable
from tests.support.factories import make_campaign
from tests.support.servers.gateways import answering, raw_server

pytestmark = [pytest.mark.django_db, pytest.mark.once]

ADD = "/admin/messaging/gateway/add/"
ENVIRONMENT = {"INFOBIP_BASE_URL": "http://127.0.0.1:8", "INFOBIP_API_KEY": "theirs"}


@pytest.fixture(autouse=True)
def fresh(settings: Any) -> Any:
    settings.GATEWAYS_READ_EVERY = 0.0
    registry.reset()
    router.forget()
    yield
    registry.reset()
    router.forget()


@pytest.fixture
def environment(settings: Any) -> None:
    for name, value in ENVIRONMENT.items():
        setattr(settings, name, value)
    registry.reset()


def make_row(name: str = "local", url: str = "http://127.0.0.1:9", **values: Any) -> Gateway:
    row = Gateway(name=name, kind=GatewayKind.INFOBIP, base_url=url, **values)
    row.secrets = {"api_key": "key"}
    row.save()
    return row


def page(row: Gateway, what: str = "change") -> str:
    return f"/admin/messaging/gateway/{row.pk}/{what}/"


def filled(row: Gateway, **values: Any) -> dict[str, Any]:
    on = {"is_enabled": "on"} if row.is_enabled else {}
    return {"base_url": row.base_url, "rules": "{}"} | on | values


def errors(response: Any) -> dict[str, Any]:
    return dict(response.context["adminform"].form.errors) if response.status_code == 200 else {}


def told(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def actions() -> list[str]:
    return list(
        AuditEvent.objects.filter(action__startswith="gateway.").order_by("pk").values_list("action", flat=True)
    )


def test_saving_one_changes_nothing_that_is_live(admin_client: Client, environment: None) -> None:
    new = {"name": "local", "kind": "infobip", "base_url": "http://127.0.0.1:9", "api_key": "wrong", "rules": "{}"}
    assert "is_enabled" in errors(admin_client.post(ADD, new | {"is_enabled": "on"}))
    assert admin_client.post(ADD, new).status_code == 302
    row = Gateway.objects.get()
    assert (row.is_enabled, row.is_preferred, row.tested_at) == (False, False, None)
    assert (registry.preferred(), "local" in registry.names()) == ("infobip", False)
    assert "send a test" in admin_client.get(page(row)).content.decode()


def test_it_can_be_switched_on_once_a_test_has_passed(admin_client: Client) -> None:
    asked = {"phone_number": "+4915112000001", "text": "Hello"}
    rules = {"url": "", "body": {"to": "{to}", "text": "{text}"}}
    with raw_server(answering(200, b"{}")) as server:
        rules["url"] = server.url
        row = Gateway.objects.create(name="pigeon", kind=GatewayKind.HTTP, rules=rules)
        stored = {"rules": orjson.dumps(rules).decode()}
        assert "is_enabled" in errors(admin_client.post(page(row), stored | {"is_enabled": "on"}))
        assert "Taken by the provider." in admin_client.post(page(row, "try"), asked).content.decode()
    response = admin_client.post(page(row), stored | {"is_enabled": "on"})
    assert response.status_code == 302
    assert any("nothing goes to it yet" in words for words in told(response))
    row.refresh_from_db()
    assert (row.is_enabled, row.is_preferred) == (True, False)
    assert actions() == ["gateway.tried", "gateway.switched_on"]
    assert registry.preferred() is None, "live messages go to no simulator where there is a provider"


def test_a_test_that_failed_or_was_of_other_settings_proves_nothing(admin_client: Client) -> None:
    row = make_row()
    admin_client.post(page(row, "try"), {"phone_number": "+4915112000001", "text": "Hello"})
    row.refresh_from_db()
    assert row.tested_at is None
    Gateway.objects.update(tested_at=timezone.now())
    row.refresh_from_db()
    changed = filled(row, base_url="http://127.0.0.1:10", api_key="other", is_enabled="on")
    assert "is_enabled" in errors(admin_client.post(page(row), changed))


def test_a_test_proves_nothing_of_what_was_saved_meanwhile(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make_row()

    def change_meanwhile(*args: Any) -> probe.Trial:
        other = Gateway.objects.get(pk=row.pk)
        other.base_url = "http://127.0.0.1:10"
        other.save()
        return probe.Trial("Taken by the provider.", is_accepted=True)

    monkeypatch.setattr(probe, "_try", change_meanwhile)
    admin_client.post(page(row, "try"), {"phone_number": "+4915112000001", "text": "Hello"})
    row.refresh_from_db()
    assert (row.base_url, row.tested_at) == ("http://127.0.0.1:10", None)


@pytest.mark.parametrize("values", [{"api_key": "new"}, {"base_url": "http://127.0.0.1:10", "api_key": "key"}])
def test_changing_a_live_one_asks_and_switches_it_off(admin_client: Client, values: dict[str, str]) -> None:
    row = make_row(is_enabled=True, is_preferred=True, tested_at=timezone.now())
    (words,) = errors(admin_client.post(page(row), filled(row, **values)))["may_stop"]
    assert "it is off, until a test has passed" in words
    assert "no live message has a route" in words
    row.refresh_from_db()
    assert row.is_enabled
    assert admin_client.post(page(row), filled(row, may_stop="on", **values)).status_code == 302
    row.refresh_from_db()
    assert (row.is_enabled, row.tested_at, row.is_preferred) == (False, None, True)
    assert actions() == ["gateway.switched_off"]
    assert registry.preferred() is None, "what goes to it waits, and goes nowhere else"


def test_a_change_of_its_rate_leaves_it_on(admin_client: Client) -> None:
    row = make_row(is_enabled=True, tested_at=timezone.now())
    assert admin_client.post(page(row), filled(row, rate="7")).status_code == 302
    row.refresh_from_db()
    assert (row.is_enabled, row.rate) == (True, 7)
    assert row.tested_at is not None


def test_switching_it_off_asks_and_on_again_needs_no_new_test(admin_client: Client) -> None:
    row = make_row(is_enabled=True, tested_at=timezone.now())
    Route.objects.create(gateway=row, prefix="43")
    Route.objects.create(gateway=make_row("rest", is_enabled=True))
    assert "may_stop" in errors(admin_client.post(page(row), filled(row, is_enabled="")))
    assert admin_client.post(page(row), filled(row, is_enabled="", may_stop="on")).status_code == 302
    assert admin_client.post(page(row), filled(row, is_enabled="on")).status_code == 302
    assert actions() == ["gateway.switched_off", "gateway.switched_on"]


def test_overriding_the_live_one_of_the_environment_asks_too(admin_client: Client, environment: None) -> None:
    new = {"name": "infobip", "kind": "infobip", "base_url": "", "api_key": "mine", "rules": "{}", "is_enabled": "on"}
    assert "may_stop" in errors(admin_client.post(ADD, new))
    assert admin_client.post(ADD, new | {"may_stop": "on"}).status_code == 302
    assert not Gateway.objects.get().is_enabled
    assert registry.preferred() is None


def test_credentials_of_the_environment_go_to_no_address_of_the_console(
    admin_client: Client, environment: None
) -> None:
    new = {"name": "infobip", "kind": "infobip", "base_url": "http://127.0.0.1:10", "rules": "{}", "may_stop": "on"}
    response = admin_client.post(ADD, new)
    assert "credentials are missing" in str(errors(response))
    assert not Gateway.objects.exists()


def test_being_preferred_is_an_act_of_its_own_that_says_what_it_changes(
    admin_client: Client, environment: None
) -> None:
    campaign = make_campaign(count=3)
    expansion.expand_ready()
    row = make_row(is_enabled=True, tested_at=timezone.now())
    shown = admin_client.get(page(row, "prefer")).content.decode()
    assert "Preferred gateway now: <strong>infobip</strong>" in shown
    assert "that keep their gateway: 3." in shown
    assert registry.preferred() == "infobip", "looking changes nothing"
    admin_client.post(page(row, "prefer"))
    assert registry.preferred() == "local"
    assert Batch.objects.get(campaign=campaign).gateway == "infobip"
    assert "the gateway set in the environment" in admin_client.get(page(row, "prefer")).content.decode()
    admin_client.post(page(row, "prefer"))
    assert registry.preferred() == "infobip"
    assert actions() == ["gateway.preferred", "gateway.preferred_no_more"]


def test_one_is_preferred_and_only_one_that_is_on(admin_client: Client) -> None:
    first, second, off = make_row(is_enabled=True), make_row("second", is_enabled=True), make_row("off")
    for row in (first, second):
        admin_client.post(page(row, "prefer"))
    assert list(Gateway.objects.filter(is_preferred=True)) == [second]
    assert any("is off" in words for words in told(admin_client.post(page(off, "prefer"))))
    assert registry.preferred() == "second"
    with pytest.raises(IntegrityError), transaction.atomic():
        Gateway.objects.update(is_preferred=True)


def test_with_a_provider_and_none_preferred_messages_wait() -> None:
    assert registry.preferred() == registry.SIMULATOR, "without any provider, as a newcomer has it"
    row = make_row()
    assert registry.preferred() == registry.SIMULATOR, "one that was never tested is none yet"
    Gateway.objects.update(is_enabled=True)
    registry.reset()
    assert registry.preferred() is None
    own = Router(1, "", "live")
    (prefix,) = own.prefixes_of(["+4915112000001"])
    assert (prefix, own.choose(prefix), own.leads_to(prefix)) == ("49151", None, False)
    Route.objects.create(gateway=row, prefix="49")
    choice = Router(1, "", "live").choose(prefix)
    assert choice is not None
    assert choice.gateway == "local"


def test_without_a_preferred_one_no_balance_is_told() -> None:
    from messaging.gateways import balance

    make_row(is_enabled=True)
    with pytest.raises(ServiceUnavailable):
        balance.provider_balance("live")


def test_what_waits_for_one_that_is_switched_off_is_not_paused() -> None:
    row = make_row(is_enabled=True, is_preferred=True)
    campaign = make_campaign(count=2)
    expansion.expand_ready()
    row.is_enabled = False
    row.save()
    assert failover.move_all() == 0
    campaign.refresh_from_db()
    assert campaign.status == CampaignStatus.RUNNING
    assert Batch.objects.get().state == BatchState.READY


@pytest.mark.parametrize(("url", "preferred"), [("", ["first"]), ("https://x.api.infobip.com", [])])
def test_what_worked_before_the_upgrade_works_after_it(settings: Any, url: str, preferred: list[str]) -> None:
    settings.INFOBIP_BASE_URL, settings.TWILIO_ACCOUNT_SID = url, ""
    make_row("off")
    make_row("first", is_enabled=True)
    make_row("second", is_enabled=True)
    migration = import_module("messaging.migrations.0012_gateways_are_switched_on")
    migration.keep_what_works(apps, None)
    assert list(Gateway.objects.filter(is_preferred=True).values_list("name", flat=True)) == preferred
    tested = Gateway.objects.exclude(tested_at=None).order_by("pk").values_list("name", flat=True)
    assert list(tested) == ["first", "second"]


@pytest.mark.parametrize(
    ("environment_is", "preferred"), [("off", ["first"]), ("on", []), ("without a row", []), ("not set", [])]
)
def test_where_the_environments_gateway_was_off_the_first_of_the_others_stays(
    settings: Any, environment_is: str, preferred: list[str]
) -> None:
    settings.INFOBIP_BASE_URL = "" if environment_is == "not set" else "https://x.api.infobip.com"
    settings.TWILIO_ACCOUNT_SID = ""
    if environment_is != "without a row":
        make_row("infobip", is_enabled=environment_is == "on")
    make_row("first", is_enabled=True)
    migration = import_module("messaging.migrations.0013_preferred_where_the_environments_are_off")
    migration.keep_what_works(apps, None)
    assert list(Gateway.objects.filter(is_preferred=True).values_list("name", flat=True)) == preferred


def test_a_preferred_one_that_cannot_be_used_gives_way_to_no_other(settings: Any) -> None:
    settings.INFOBIP_BASE_URL, settings.INFOBIP_API_KEY = "https://x.api.infobip.com", "key"
    row = make_row(is_enabled=True, is_preferred=True)
    Gateway.objects.filter(pk=row.pk).update(credentials="not encrypted")
    registry.reset()
    assert registry.preferred() is None
    Gateway.objects.filter(pk=row.pk).update(is_preferred=False)
    registry.reset()
    assert registry.preferred() == "infobip"


def test_the_environments_stays_off_where_its_row_cannot_be_used(settings: Any) -> None:
    settings.INFOBIP_BASE_URL, settings.INFOBIP_API_KEY = "https://x.api.infobip.com", "key"
    row = make_row("infobip", is_enabled=False)
    Gateway.objects.filter(pk=row.pk).update(credentials="not encrypted")
    registry.reset()
    assert registry.preferred() is None
    assert "infobip" not in registry.names()


def test_before_anything_could_be_read_nothing_goes_to_the_simulator(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise OperationalError("away")

    registry.reset()
    with monkeypatch.context() as context:
        context.setattr(registry.Row.objects, "order_by", fail)
        assert registry.preferred() is None
    assert registry.preferred() == "simulator"
