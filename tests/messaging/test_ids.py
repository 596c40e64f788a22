import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Setting
from messaging import ids
from messaging.models import Message
from tests.support.factories import make_campaign
from tests.support.installed import put_installation_back

PREFIX = "kqxza"


@pytest.fixture(autouse=True)
def fixed_prefix(monkeypatch):
    monkeypatch.setattr(ids, "installation_prefix", lambda: PREFIX)


@given(st.integers(min_value=0, max_value=2**54 - 1))
def test_an_id_leads_back_to_its_number(number):
    ids.installation_prefix = lambda: PREFIX
    public = ids.public_id(number)
    assert len(public) == 17
    assert ids.parse_public_id(public) == number


def test_a_mistyped_id_is_no_id():
    public = ids.public_id(123_456_789)
    for place in range(len(PREFIX), len(public) - 1):
        for character in ids.ALPHABET:
            typed = public[:place] + character + public[place + 1 :]
            difference = ids.ALPHABET.index(character) - ids.ALPHABET.index(public[place])
            same_check = difference % ids.CHECK_MODULUS == 0
            assert same_check or ids.parse_public_id(typed) is None


@pytest.mark.parametrize(
    "foreign",
    [
        "",
        "x",
        "other0000000g401z",
        PREFIX + "0000000000u!",
        PREFIX + "0000_0000010",
        PREFIX + " 0000000010",
        PREFIX + "+0000000011",
        PREFIX + "0000000i0001",
        PREFIX + "\u0661" * 12,
        "a" * 400,
    ],
)
def test_an_id_of_somebody_else_is_no_id(foreign):
    assert ids.parse_public_id(foreign) is None


def test_a_number_names_its_batch():
    assert ids.batch_of(ids.make_message_pk(77, 999)) == 77
    assert ids.batch_range(77) == (77 * 1024, 77 * 1024 + 1023)


@pytest.mark.django_db
def test_the_customers_view_shows_the_same_id(monkeypatch):
    monkeypatch.undo()
    put_installation_back()
    from messaging.sending.expansion import expand_ready

    campaign = make_campaign(count=2)
    expand_ready()
    with connection.cursor() as cursor:
        cursor.execute("SELECT message_id, status, phone_number FROM sms_messages WHERE campaign = %s", [campaign.pk])
        rows = cursor.fetchall()
    expected = {(message.message_id, "PENDING", message.phone_number) for message in Message.objects.all()}
    assert set(rows) == expected
    assert len(rows) == 2


@pytest.mark.django_db
def test_a_process_started_before_the_migration_makes_no_unsealed_id():
    put_installation_back()
    known = ids.seal()
    ids.seal.cache_clear()
    ids._batch_digits.cache_clear()
    rows = Setting.objects.filter(key__in=ids.SEAL_KEYS)
    before = list(rows)
    rows.delete()
    try:
        with pytest.raises(ids.NotMigrated, match="migrate"):
            ids.public_id(123)
        Setting.objects.bulk_create(before)
        assert ids.parse_public_id(ids.public_id(123)) == 123
        assert ids.seal() == known
    finally:
        ids.seal.cache_clear()
        ids._batch_digits.cache_clear()
