"""Price lists: which price counts, and imports that happen as a whole or not at all."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from accounts.billing.prices import MAX_ERRORS, PriceList, PricesInvalid, import_prices
from accounts.models import AuditEvent, Price
from tests.support.factories import AccountFactory

pytestmark = pytest.mark.django_db


def prices_of(account) -> dict[str, int]:
    return dict(Price.objects.filter(account=account).values_list("prefix", "price_micro"))


@pytest.fixture
def account():
    return AccountFactory(is_metered=True)


@pytest.fixture
def prices(account):
    import_prices(["49,0.07", "4915,0.075", "1,0.01", "1242,0.2"], None, "EUR", None)
    import_prices(["49,0.05"], account, "EUR", None)
    return PriceList.of(account)


@pytest.mark.parametrize(
    ("digits", "price"),
    [
        ("4930123456", 50_000),
        ("4915112345678", 50_000),  # the own list counts first, however short its prefix
        ("12125550100", 10_000),
        ("12425550100", 200_000),
        ("3312345678", None),
    ],
)
def test_the_longest_prefix_of_the_own_list_counts_then_that_of_the_general_one(prices, digits, price):
    assert prices.price_of(digits) == price


def test_asking_for_some_numbers_gives_what_the_whole_list_gives(account, prices, django_assert_num_queries):
    with django_assert_num_queries(1):
        some = PriceList.of(account, ["+12425550100", "+4915112345678"])
    for digits in ("12425550100", "4915112345678"):
        assert some.price_of(digits) == prices.price_of(digits)


def test_the_highest_price_is_known_from_first_digits(prices):
    assert prices.highest_of("1") == 200_000
    assert prices.highest_of("1212") == 10_000
    assert prices.highest_of("33") is None


def test_another_currency_has_another_list(account, prices):
    import_prices(["49,0.09,USD"], None, "EUR", None)
    account.currency = "USD"
    assert PriceList.of(account).prices == {"49": 90_000}


def test_a_list_is_cut_to_what_numbers_need(prices):
    assert prices.cut_to(["1242"]).prices == {"1": 10_000, "1242": 200_000}
    assert prices.cut_to(["12"]).prices == {"1": 10_000, "1242": 200_000}


def test_an_import_changes_what_it_names_and_leaves_the_rest(account, prices):
    assert import_prices(["prefix,price,currency", "+49, 0.08 ,eur", "", '"41","0.1"'], None, "EUR", None) == 2
    assert prices_of(None) == {"49": 80_000, "4915": 75_000, "1": 10_000, "1242": 200_000, "41": 100_000}
    assert prices_of(account) == {"49": 50_000}
    assert AuditEvent.objects.filter(action="prices.imported").count() == 3


@pytest.mark.parametrize(
    "line",
    [
        "49",
        "49,1,EUR,x",
        "4a,1",
        "49,-1",
        "49,1e9",
        "49,NaN",
        "49,0.1234567",
        "49,1001",
        "49,0,5",
        "49,1,euro",
        "1234567890123456,1",
        "٤٩,1",
        "49,٣",
        "43,2\n43,3",
        '43,"1',
        "43,\x001",
    ],
)
def test_one_wrong_row_stops_the_whole_import(prices, line):
    before = prices_of(None)
    with pytest.raises(PricesInvalid) as refused:
        import_prices(["43,1", *line.split("\n")][-3:], None, "EUR", None)
    assert 1 <= len(refused.value.errors) <= 2
    assert refused.value.errors[0].row >= 1
    assert prices_of(None) == before


def test_every_wrong_row_is_named_up_to_a_limit(account):
    with pytest.raises(PricesInvalid) as refused:
        import_prices(["4,x"] * 1000, account, "EUR", None)
    assert [error.row for error in refused.value.errors] == list(range(1, MAX_ERRORS + 1))


def test_the_command_imports_a_file_and_names_wrong_rows(account, tmp_path: Path, capsys):
    file = tmp_path / "prices.csv"
    file.write_text("prefix,price\n49,0.07\n")
    call_command("import_prices", str(file), account=account.pk)
    assert prices_of(account) == {"49": 70_000}
    file.write_text("prefix,price\n49,0.08\n43,free\n")
    with pytest.raises(CommandError, match="row 3: The price must be"):
        call_command("import_prices", str(file))
    assert prices_of(None) == {}
    with pytest.raises(CommandError, match="no such account"):
        call_command("import_prices", str(file), account=999_999)
