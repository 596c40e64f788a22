"""STOP and START, whoever says it: heeded once, confirmed once, written down, and never undone by a file."""

from typing import Any

import pytest
from django.test import Client

from accounts.choices import SenderKind
from campaigns.texts import opt_out_links
from messaging.choices import Lane, MessageStatus, Reason
from messaging.gateways.base import Inbound, Report
from messaging.inbound import replies
from messaging.models import Message
from messaging.outcomes import provider_opt_outs
from messaging.sending import dispatch, expansion
from smsapp.lib.keywords import Keyword, keyword_of
from tests.support.factories import (
    AccountFactory,
    MembershipFactory,
    SenderIdFactory,
    make_api_key,
    make_campaign,
    make_upload,
)
from uploads.choices import OptOutSource
from uploads.contacts import create_list, put_contact
from uploads.models import OptOutEvent, Suppression
from uploads.suppressions import opt_in, phone_hash, suppressed_among

OURS, THEIRS = "4915799999901", "+4915112345678"


@pytest.mark.parametrize(
    "text",
    [
        "STOP",
        "stop",
        " Stop! ",
        "STOP.",
        "Stop please",
        "STOPALL",
        "stop all",
        "Unsubscribe",
        "cancel",
        "END",
        "Quit",
        "revoke",
        "OptOut",
        "opt out",
        "opt-out",
        "STOPP",
        "Abmelden",
        "keine SMS",
        "Arrêt",
        "ARRET",
        "désabonner",
        "BAJA",
        "parar",
        "annulla",
        "afmelden",
        "İPTAL",
        "iptal",
        "стоп",
        "СТОП!",
        "توقف",
        "停止",
        "退订",
        "수신거부",
        "หยุด",
        "रोको",
        "HỦY",
        "odhlásit",
    ],
)
def test_words_that_stop(text: str) -> None:
    assert keyword_of(text) is Keyword.STOP


@pytest.mark.parametrize("text", ["START", "start!", "Unstop", "Anmelden", "opt in", "СТАРТ", "开始"])
def test_words_that_start(text: str) -> None:
    assert keyword_of(text) is Keyword.START


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "?!",
        "yes",
        "Thanks",
        "stop by on your way home tonight",
        "Please do not stop",
        "the end of the line",
        "When does it start?",
        "I quit my job",
        "cancel my order 4711",
        "nonstop",
        "bus stop",
        "Ende",
    ],
)
def test_ordinary_answers(text: str) -> None:
    assert keyword_of(text) is None


def reply(text: str, reference: str = "", **options: Any) -> None:
    message = Inbound(reference or f"ref-{text}", THEIRS, OURS, text, "", 1, None, **options)
    replies.receive("simulator", [message])


@pytest.fixture
def account() -> Any:
    membership = MembershipFactory(account__opt_out_reply="You get no more messages.")
    SenderIdFactory(account=membership.account, value=f"+{OURS}", kind=SenderKind.NUMBER)
    return membership.account


@pytest.mark.django_db
def test_stop_is_confirmed_once_and_start_opens_again(account: Any, simulator: Any) -> None:
    reply("Stop", "1")
    reply("STOP", "2")
    assert suppressed_among(account, [THEIRS]) == {THEIRS}
    confirmation = Message.objects.get()
    assert (confirmation.phone_number, confirmation.text, confirmation.sender_id) == (
        THEIRS,
        "You get no more messages.",
        f"+{OURS}",
    )
    dispatch.dispatch_ready(Lane.SINGLES)
    confirmation.refresh_from_db()
    assert confirmation.status == MessageStatus.SENT, "the one message that still goes there"
    reply("START", "3")
    assert suppressed_among(account, [THEIRS]) == set()
    reply("stop", "4")
    assert Message.objects.count() == 2, "they left again, and that is confirmed again"
    events = OptOutEvent.objects.order_by("pk").values_list("is_out", "source", "phone_hint")
    assert list(events) == [(True, "keyword", "78"), (False, "keyword", "78"), (True, "keyword", "78")]


@pytest.mark.django_db
def test_a_stop_that_the_provider_answered_is_not_answered_again(account: Any) -> None:
    reply("Stop", is_answered=True)
    assert suppressed_among(account, [THEIRS]) == {THEIRS}
    assert not Message.objects.exists()


@pytest.mark.django_db
def test_without_a_text_or_without_credit_only_the_confirmation_is_left_out(account: Any) -> None:
    account.opt_out_reply = ""
    account.save()
    reply("Stop", "1")
    assert not Message.objects.exists()
    reply("Start", "2")
    account.opt_out_reply, account.is_metered = "Bye", True
    account.save()
    reply("Stop", "3")
    assert not Message.objects.exists()
    assert Suppression.objects.count() == 1


@pytest.mark.django_db
def test_a_stop_in_the_middle_of_a_campaign_stops_what_has_not_left(account: Any, simulator: Any) -> None:
    campaign = make_campaign(account, count=3)
    expansion.expand_ready()
    phone = Message.objects.filter(campaign=campaign).order_by("id")[1].phone_number
    replies.receive("simulator", [Inbound("r", phone, OURS, "STOP", "", 1, None)])
    dispatch.dispatch_ready(Lane.CAMPAIGNS)
    campaign.refresh_from_db()
    assert (campaign.sent, campaign.suppressed) == (2, 1)


@pytest.mark.django_db
def test_what_a_provider_says_of_a_number_is_heeded() -> None:
    campaign = make_campaign(count=2)
    expansion.expand_ready()
    first, second = Message.objects.order_by("id")
    said = Report(first.message_id, MessageStatus.REJECTED, Reason.OPTED_OUT, error_code="21610")
    other = Report(second.message_id, MessageStatus.REJECTED, Reason.RECIPIENT_REFUSED)
    assert provider_opt_outs.apply([said, other]) == 1
    assert provider_opt_outs.apply([said]) == 0
    assert suppressed_among(campaign.account, [first.phone_number, second.phone_number]) == {first.phone_number}
    event = OptOutEvent.objects.get()
    assert (event.source, event.detail) == (OptOutSource.PROVIDER, first.message_id)


@pytest.mark.django_db
def test_a_report_that_comes_again_shuts_nobody_out_who_came_back() -> None:
    campaign = make_campaign(count=1)
    expansion.expand_ready()
    message = Message.objects.get()
    said = Report(message.message_id, MessageStatus.REJECTED, Reason.OPTED_OUT, error_code="21610")
    provider_opt_outs.apply([said])
    opt_in(campaign.account, message.phone_number, OptOutSource.KEYWORD, "START")
    assert provider_opt_outs.apply([said]) == 0
    assert not suppressed_among(campaign.account, [message.phone_number])


@pytest.mark.django_db
def test_what_a_provider_says_of_many_numbers_costs_as_few_statements(django_assert_num_queries: Any) -> None:
    make_campaign(count=20)
    expansion.expand_ready()
    said = [
        Report(message.message_id, MessageStatus.REJECTED, Reason.OPTED_OUT, error_code="21610")
        for message in Message.objects.all()
    ]
    with django_assert_num_queries(27):  # seven of all, and one for the webhooks of each
        assert provider_opt_outs.apply(said) == 20


@pytest.mark.django_db
def test_the_link_in_a_text_is_each_recipients_own_and_asks_before_it_acts(simulator: Any, client: Client) -> None:
    account = AccountFactory(name="Corner Shop")
    campaign = make_campaign(account, count=2, message="Sale! Stop: {opt_out_link}")
    expansion.expand_ready()
    texts = [message.text for message in Message.objects.order_by("id")]
    assert len(set(texts)) == 2
    paths = [text[text.index("/o/") :] for text in texts]
    phone = Message.objects.order_by("id")[0].phone_number
    assert paths[0] == f"/o/{opt_out_links.token_of(account.pk, phone)}"
    page = client.get(paths[0])
    assert page.status_code == 200
    assert "Corner Shop" in page.content.decode()
    assert not Suppression.objects.exists(), "looking is not asking"
    assert "/api/" not in page.content.decode(), "it is for whoever got a message, not for developers"
    assert "no longer send text messages" in client.post(paths[0]).content.decode()
    assert suppressed_among(account, [phone]) == {phone}
    assert client.post(paths[0]).status_code == 200
    assert OptOutEvent.objects.count() == 1
    dispatch.dispatch_ready(Lane.CAMPAIGNS)
    campaign.refresh_from_db()
    assert (campaign.sent, campaign.suppressed) == (1, 1)


@pytest.mark.django_db
@pytest.mark.parametrize("token", ["x", "x" * 32, "0" * 32, "zzzzzz" + "a" * 26, "A" * 32, "%00", "ä" * 32])
def test_a_link_that_is_none_says_so(client: Client, token: str) -> None:
    for answer in (client.get(f"/o/{token}"), client.post(f"/o/{token}")):
        assert answer.status_code in (400, 404)
    assert not Suppression.objects.exists()


@pytest.mark.django_db
def test_nobody_can_invent_a_link(client: Client) -> None:
    account = AccountFactory()
    token = opt_out_links.token_of(account.pk, THEIRS)
    assert opt_out_links.read_token(token) == (account.pk, phone_hash(account.pk, THEIRS))
    for place in range(len(token)):
        other = token[:place] + ("a" if token[place] != "a" else "b") + token[place + 1 :]
        assert client.post(f"/o/{other}").status_code == 404
    assert not OptOutEvent.objects.exists()


@pytest.mark.django_db
def test_the_link_costs_the_same_for_everybody_and_a_column_cannot_take_its_name() -> None:
    account = AccountFactory()
    campaign = make_campaign(account, count=2, message="{opt_out_link}")
    expansion.expand_ready()
    lengths = {len(message.text) for message in campaign.messages.all()}
    assert lengths == {len(opt_out_links.blank_link())}


@pytest.mark.django_db
def test_a_file_and_a_list_never_bring_somebody_back(client: Client) -> None:
    key, text = make_api_key()
    upload = make_upload(key.account, [(THEIRS,), ("+4915112345679",)], ["phone"])
    body = {"upload_id": upload.upload_id}
    send = {"content_type": "application/json", "headers": {"X-API-Key": text}}
    answer = client.post("/api/v1/suppressions/import", body, **send)
    assert answer.json()["data"] == {"added": 2}
    assert client.post("/api/v1/suppressions/import", body, **send).json()["data"] == {"added": 0}
    list_ = create_list(key.account, key.user, "Guests")
    put_contact(list_, key.user, THEIRS, {})
    assert suppressed_among(key.account, [THEIRS]) == {THEIRS}
    assert set(OptOutEvent.objects.values_list("source", "user")) == {("file", key.user.pk)}
    assert client.post("/api/v1/suppressions/import", {"upload_id": "upl-none"}, **send).status_code == 404
