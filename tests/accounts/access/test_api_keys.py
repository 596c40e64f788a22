"""API keys: what is stored, what opens, and who may change which key."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.access.api_keys import (
    DEFAULT_SCOPES,
    KEY_PATTERN,
    MAX_KEYS,
    Issuer,
    _checksum,
    check_api_key,
    issue_api_key,
    match_api_key,
    revoke_api_key,
    rotate_api_key,
    update_api_key,
)
from accounts.choices import SCOPES_OF, Mode, Role, Scope
from accounts.models import ApiKey, AuditEvent
from smsapp.core.exceptions import (
    ApiKeyExpired,
    ApiKeyRevoked,
    AuthenticationRefused,
    InvalidState,
    IpNotAllowed,
    NotFound,
    PermissionDenied,
    ValidationError,
)
from tests.support.builders import issuer_for
from tests.support.factories import MembershipFactory, make_api_key
from tests.support.together import run_together

pytestmark = pytest.mark.django_db

HOME = "203.0.113.7"
TWO_HOURS = timedelta(hours=2)


def changed(text, position):
    other = "a" if text[position] != "a" else "b"
    return text[:position] + other + text[position + 1 :]


def test_a_key_opens_and_only_its_hash_is_stored():
    key, text = issue_api_key(issuer_for(), "Shop", Mode.LIVE)
    assert KEY_PATTERN.match(text)
    assert check_api_key(text, HOME) == (key, Role.OWNER)
    row = ApiKey.objects.filter(pk=key.pk).values().get()
    secret = KEY_PATTERN.match(text)[4]
    assert secret not in str(row)
    assert secret not in str(list(AuditEvent.objects.values()))


def test_a_typo_is_refused_without_a_query(django_assert_num_queries):
    _, text = make_api_key()
    with django_assert_num_queries(0):
        for position in (12, 25, 60, 67):
            with pytest.raises(AuthenticationRefused):
                check_api_key(changed(text, position), HOME)


def test_one_query_finds_key_account_person_and_role(django_assert_num_queries):
    _, text = make_api_key(role=Role.SENDER)
    with django_assert_num_queries(1):
        key, role = check_api_key(text, HOME)
        assert (key.account.name, key.user.is_active, role) == (key.account.name, True, Role.SENDER)


def test_wrong_id_and_wrong_secret_cannot_be_told_apart(django_assert_num_queries):
    _, text = make_api_key()
    _, other = make_api_key()
    match, strange = KEY_PATTERN.match(text), KEY_PATTERN.match(other)
    wrong_secret = f"sms_live_{match[3]}_{strange[4]}"
    wrong_id = f"sms_live_aaaaaaaaaa_{match[4]}"
    wrong_mode = f"sms_test_{match[3]}_{match[4]}"
    seen = set()
    for body in (wrong_secret, wrong_id, wrong_mode):
        with django_assert_num_queries(1), pytest.raises(AuthenticationRefused) as refused:
            check_api_key(body + _checksum(body), HOME)
        seen.add((refused.value.code, refused.value.message))
    assert seen == {("INVALID_CREDENTIALS", "This API key is not valid.")}


def test_a_key_outlives_a_change_of_secret_key(settings):
    key, text = make_api_key()
    old = settings.SECRET_KEY
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "n" * 60, [old]
    assert check_api_key(text, HOME)[0] == key
    settings.SECRET_KEY_FALLBACKS = []  # it was used meanwhile
    assert check_api_key(text, HOME)[0] == key
    settings.SECRET_KEY = "m" * 60
    with pytest.raises(AuthenticationRefused):
        check_api_key(text, HOME)


def test_revoked_and_expired_are_told_to_who_holds_the_secret():
    key, text = make_api_key()
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(ApiKeyExpired):
        check_api_key(text, HOME)
    revoke_api_key(key, key.user)
    with pytest.raises(ApiKeyRevoked):
        check_api_key(text, HOME)


@pytest.mark.parametrize("loss", ["person disabled", "membership gone"])
def test_a_key_ends_with_its_owner(loss):
    key, text = make_api_key()
    if loss == "person disabled":
        key.user.is_active = False
        key.user.save()
    else:
        key.user.memberships.all().delete()
    with pytest.raises(ApiKeyRevoked):
        check_api_key(text, HOME)


@pytest.mark.parametrize(
    ("address", "is_inside"),
    [
        ("203.0.113.7", True),
        ("203.0.114.7", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("", False),
        ("10.0.0.1", True),
        ("10.0.0.2", False),
    ],
)
def test_a_key_opens_from_its_networks_only(address, is_inside):
    networks = ["203.0.113.5/24", "2001:DB8::/32", "10.0.0.1", "203.0.113.0/24"]
    key, text = make_api_key(allowed_networks=networks)
    assert key.allowed_networks == ["203.0.113.0/24", "2001:db8::/32", "10.0.0.1/32"]
    if is_inside:
        assert check_api_key(text, address)[0] == key
    else:
        with pytest.raises(IpNotAllowed):
            check_api_key(text, address)


def test_scopes_default_to_those_of_a_sender_as_far_as_one_has_them():
    key, _ = issue_api_key(issuer_for(), "Shop", Mode.LIVE)
    assert set(key.scopes) == DEFAULT_SCOPES == SCOPES_OF[Role.SENDER]
    assert not {scope for scope in key.scopes if scope.startswith("keys:")}
    key, _ = issue_api_key(issuer_for(scopes={Scope.KEYS_WRITE, Scope.MESSAGES_READ}), "Shop", Mode.LIVE)
    assert key.scopes == [Scope.MESSAGES_READ]


def test_nobody_gives_what_they_do_not_have():
    issuer = issuer_for(scopes={Scope.KEYS_WRITE, Scope.MESSAGES_READ})
    with pytest.raises(ValidationError) as refused:
        issue_api_key(issuer, "Shop", Mode.LIVE, scopes=[Scope.MESSAGES_READ, Scope.MESSAGES_SEND])
    assert refused.value.details["field"] == "scopes[1]"
    key, _ = issue_api_key(issuer, "Shop", Mode.LIVE)
    with pytest.raises(ValidationError):
        update_api_key(issuer, key.prefix, scopes=[Scope.MESSAGES_SEND])
    key.refresh_from_db()
    assert key.scopes == [Scope.MESSAGES_READ]
    assert ApiKey.objects.count() == 1


def test_a_key_that_may_more_can_only_be_revoked():
    membership = MembershipFactory()
    strong, text = issue_api_key(issuer_for(membership), "Strong", Mode.LIVE, scopes=Scope)
    weak = issuer_for(membership, scopes={Scope.KEYS_WRITE})
    with pytest.raises(PermissionDenied):
        rotate_api_key(weak, strong.prefix, TWO_HOURS)
    with pytest.raises(PermissionDenied):
        update_api_key(weak, strong.prefix, allowed_networks=[])
    assert check_api_key(text, HOME)[0].replaced_by is None
    assert ApiKey.objects.count() == 1


def test_a_test_key_neither_makes_nor_reaches_live_keys():
    membership = MembershipFactory()
    live, text = issue_api_key(issuer_for(membership), "Live", Mode.LIVE)
    from_test = issuer_for(membership, Mode.TEST)
    with pytest.raises(ValidationError):
        issue_api_key(from_test, "Live", Mode.LIVE)
    with pytest.raises(NotFound):
        rotate_api_key(from_test, live.prefix, TWO_HOURS)
    assert issue_api_key(from_test, "Test", Mode.TEST)[0].mode == Mode.TEST
    assert check_api_key(text, HOME)


def test_another_accounts_key_is_not_found_and_not_touched():
    key, text = make_api_key()
    for act in (
        lambda i: rotate_api_key(i, key.prefix, TWO_HOURS),
        lambda i: update_api_key(i, key.prefix, name="Mine"),
    ):
        with pytest.raises(NotFound):
            act(issuer_for())
    assert check_api_key(text, HOME)[0].name == "test key"


def test_both_keys_open_during_the_overlap_of_a_rotation(monkeypatch):
    membership = MembershipFactory()
    options = {"scopes": [Scope.MESSAGES_SEND], "allowed_networks": ["203.0.113.0/24"], "rate_limit": 7}
    old, old_text = issue_api_key(issuer_for(membership), "Shop", Mode.TEST, **options)
    new, new_text = rotate_api_key(issuer_for(membership), old.prefix, TWO_HOURS)
    assert check_api_key(old_text, HOME)[0].replaced_by == new
    assert check_api_key(new_text, HOME)[0] == new
    same = ("name", "mode", "scopes", "allowed_networks", "rate_limit", "expires_at")
    assert [getattr(new, field) for field in same] == ["Shop", "test", *options.values(), None]
    later = timezone.now() + TWO_HOURS
    monkeypatch.setattr("smsapp.core.clock.about_now", lambda: later)
    with pytest.raises(ApiKeyExpired):
        check_api_key(old_text, HOME)
    assert check_api_key(new_text, HOME)[0] == new


def test_without_overlap_the_old_key_ends_at_once():
    old, old_text = make_api_key()
    rotate_api_key(Issuer(old.account, old.user, Mode.LIVE, frozenset(Scope)), old.prefix, timedelta(0))
    with pytest.raises(ApiKeyExpired):
        check_api_key(old_text, HOME)


def test_rotation_never_lengthens_the_old_key_and_keeps_the_lifetime():
    membership = MembershipFactory()
    soon = timezone.now() + timedelta(minutes=10)
    old, _ = issue_api_key(issuer_for(membership), "Shop", Mode.LIVE, expires_at=soon)
    new, _ = rotate_api_key(issuer_for(membership), old.prefix, TWO_HOURS)
    old.refresh_from_db()
    assert old.expires_at == soon
    assert abs((new.expires_at - new.created_at) - (old.expires_at - old.created_at)) < timedelta(seconds=1)


def test_what_is_over_is_neither_rotated_nor_changed():
    key, _ = make_api_key()
    issuer = Issuer(key.account, key.user, Mode.LIVE, frozenset(Scope))
    rotate_api_key(issuer, key.prefix, TWO_HOURS)
    with pytest.raises(InvalidState):
        rotate_api_key(issuer, key.prefix, TWO_HOURS)
    revoke_api_key(key, key.user)
    for act in (
        lambda: rotate_api_key(issuer, key.prefix, TWO_HOURS),
        lambda: update_api_key(issuer, key.prefix, name="x"),
    ):
        with pytest.raises(InvalidState):
            act()
    assert ApiKey.objects.count() == 2


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_rotations_at_once_make_one_key():
    key, _ = make_api_key()
    issuer = Issuer(key.account, key.user, Mode.LIVE, frozenset(Scope))
    refused = []

    def rotate():
        try:
            rotate_api_key(issuer, key.prefix, TWO_HOURS)
        except InvalidState as error:
            refused.append(error)

    run_together(*[rotate] * 4)
    assert len(refused) == 3
    assert ApiKey.objects.count() == 2


def test_an_account_has_so_many_keys_at_most():
    membership = MembershipFactory()
    keys = [
        ApiKey(account=membership.account, user=membership.user, prefix=f"p{n:09d}", secret_hash="x")
        for n in range(MAX_KEYS)
    ]
    ApiKey.objects.bulk_create(keys)
    with pytest.raises(InvalidState):
        issue_api_key(issuer_for(membership), "One more", Mode.LIVE)
    ApiKey.objects.filter(prefix=keys[0].prefix).update(revoked_at=timezone.now())
    issue_api_key(issuer_for(membership), "One more", Mode.LIVE)


def test_every_act_on_a_key_is_in_the_audit_log():
    membership = MembershipFactory()
    issuer = issuer_for(membership)
    key, _ = issue_api_key(issuer, "Shop", Mode.LIVE)
    update_api_key(issuer, key.prefix, name="Store", rate_limit=5)
    update_api_key(issuer, key.prefix, name="Store")  # changes nothing, says nothing
    rotate_api_key(issuer, key.prefix, TWO_HOURS)
    revoke_api_key(key, membership.user)
    revoke_api_key(key, membership.user)
    events = list(AuditEvent.objects.order_by("pk"))
    assert [event.action for event in events] == [
        "api_key.issued",
        "api_key.updated",
        "api_key.rotated",
        "api_key.revoked",
    ]
    assert (events[1].before, events[1].after) == (
        {"name": "Shop", "rate_limit": None},
        {"name": "Store", "rate_limit": 5},
    )
    assert {(e.account, e.user, e.target_type, e.target_id) for e in events} == {
        (membership.account, membership.user, "api_key", key.prefix)
    }


@pytest.mark.parametrize("text", ["", "x", "sms_live_", "sms_live_" + "ü" * 60, "sms_live_\x00", "s" * 100_000])
def test_nonsense_is_no_key(text):
    assert match_api_key(text) is None
