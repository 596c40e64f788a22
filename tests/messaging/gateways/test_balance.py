"""What is left at the provider: for operators, asked seldom, and said when it is low."""

import json

import pytest
from django.core.cache import cache

from accounts.choices import Mode
from accounts.models import Setting
from messaging.gateways import balance, registry
from reports.selectors.attention import attention
from smsapp.core.exceptions import ServiceUnavailable

pytestmark = pytest.mark.django_db

TITLE = "The balance at the provider is low"


@pytest.fixture(autouse=True)
def unknown():
    cache.delete("balance:simulator")
    yield
    cache.delete("balance:simulator")


def is_shown() -> bool:
    return any(notice.title == TITLE for notice in attention())


def test_a_low_balance_is_on_the_consoles_list_until_it_is_topped_up(simulator, settings):
    assert not is_shown()
    settings.PROVIDER_LOW_BALANCE = 10.0**9
    assert balance.check() is False
    stored = json.loads(Setting.objects.get(key=balance.KEY).value)
    assert (stored["gateway"], stored["currency"]) == ("simulator", "EUR")
    assert is_shown()
    settings.PROVIDER_LOW_BALANCE = 1.0
    assert balance.check() is True
    assert not is_shown()


def test_a_provider_that_does_not_answer_is_said_and_changes_nothing(simulator, settings):
    settings.PROVIDER_LOW_BALANCE = 10.0**9
    balance.check()
    settings.SIMULATOR_URL = "http://127.0.0.1:9"
    registry.reset()
    cache.delete("balance:simulator")
    with pytest.raises(ServiceUnavailable):
        balance.provider_balance(Mode.LIVE)
    assert balance.check() is False
    assert is_shown()


@pytest.mark.parametrize("stored", ["", "{}", "[]", "x", '{"balance": "x"}', '{"balance": null}'])
def test_what_an_operator_wrote_there_is_no_balance(stored, settings):
    settings.PROVIDER_LOW_BALANCE = 10.0**9
    assert not balance.is_low(balance.LAST.load(stored))
