"""A single send goes out as it is written: braces mean nothing where there are no values to fill in."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from accounts.choices import Mode
from campaigns.choices import CampaignKind
from campaigns.models import Campaign
from campaigns.texts.renderers import renderer_of
from campaigns.validation import CampaignRequest
from messaging.choices import FactSource, Lane, MessageStatus
from messaging.models import Message
from messaging.outcomes import settlement
from messaging.outcomes.settlement import Fact
from messaging.sending import dispatch
from messaging.sending.expansion import expand_ready
from messaging.services import resend_failed, send
from smsapp.lib.text import analyse
from tests.support.factories import MembershipFactory, make_api_key, make_audience, make_campaign, phones

TEXTS = [
    '{"a":{{1}}} {red|blue} {{',
    "${price} {name}",
    "}} {0} {name|friend} {{name}} {",
    "Stop: {opt_out_link} {{opt_out_link}}",
    "{% load x %} {a\nb} {}",
]


@given(st.text(alphabet="{}|a1 _opt_out_link", max_size=60))
def test_the_text_of_a_single_send_is_the_text(text: str) -> None:
    renderer = renderer_of(CampaignKind.SINGLE, text, ())
    assert renderer.render((), "https://example.com/o/x") == text
    assert (renderer.is_constant, renderer.has_link) == (True, False)


def by_api(client: Client, text: str) -> str:
    body = {"phone_numbers": phones(1), "message": text}
    _, key = make_api_key()
    options: dict[str, Any] = {"content_type": "application/json", "headers": {"X-API-Key": key}}
    looked_up = client.post("/api/v1/lookup", body, **options).json()["data"]["text"]
    answer = client.post("/api/v1/sms/send", body, **options)
    assert answer.status_code == 202, answer.content
    bulk_id = answer.json()["data"]["bulk_id"]
    segments = answer.json()["data"]["messages"][0]["segments"]
    assert (looked_up["length"], looked_up["segments"]) == (len(text), segments)
    preview = client.get(f"/api/v1/campaigns/{bulk_id}/preview", headers={"X-API-Key": key}).json()["data"]
    assert (preview["placeholders"], [row["text"] for row in preview["rows"]]) == ([], [text])
    return str(answer.json()["data"]["messages"][0]["message_id"])


def by_form(client: Client, text: str) -> str:
    client.force_login(MembershipFactory().user)
    shown = client.post(reverse("composed"), {"message": text, "is_send": "1"})
    assert shown.context["composed"].text == text
    form = {"phone_numbers": phones(1)[0], "sender_id": "", "message": text, "when": "now", "zone": "UTC"}
    answer = client.post(reverse("send"), form)
    assert answer.status_code == 302, answer.context["form"].errors
    return Message.objects.get().message_id


@pytest.mark.django_db
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("door", [by_api, by_form])
def test_it_leaves_as_it_was_written(
    client: Client, simulator: Any, door: Callable[[Client, str], str], text: str
) -> None:
    message_id = door(client, text)
    assert Message.objects.get().text == text
    assert dispatch.dispatch_ready(Lane.SINGLES) == 1
    assert [(entry.message_id, entry.text) for entry in simulator.simulator.ledger] == [(message_id, text)]


@pytest.mark.django_db
def test_sent_again_it_is_still_what_was_written() -> None:
    text = TEXTS[0]
    member = MembershipFactory()
    request = CampaignRequest(kind=CampaignKind.SINGLE, message=text)
    campaign, (message,) = send(member.account, member.user, request, phones(1))
    settlement.apply([Fact(message.pk, MessageStatus.UNDELIVERED, FactSource.PUSH)])
    campaign.refresh_from_db()
    resend_failed(campaign, member.user, [MessageStatus.UNDELIVERED])
    expand_ready()
    assert [message.text for message in Message.objects.order_by("id")] == [text, text]


@pytest.mark.django_db
def test_a_trial_of_a_draft_is_not_read_as_a_template_again(client: Client) -> None:
    member = MembershipFactory()
    audience = make_audience(member.account, 2, ("name",), [["{name|x}"], ["Bob"]])
    draft = make_campaign(member.account, audience=audience, message="{{a}} {name}", name="Sale")
    Campaign.objects.filter(pk=draft.pk).update(status="draft", started_at=None)
    client.force_login(member.user)
    client.post(reverse("wizard-try", args=[draft.bulk_id]), {"phone_number": phones(1)[0]})
    sent = Campaign.objects.get(kind=CampaignKind.SINGLE)
    assert (sent.message, sent.mode) == ("{a} {name|x}", Mode.LIVE)
    assert sent.messages.get().text == "{a} {name|x}"


@pytest.mark.django_db
def test_the_form_says_that_placeholders_are_not_filled(client: Client) -> None:
    client.force_login(MembershipFactory().user)
    page = client.post(reverse("composed"), {"message": "Hi {name} {a|b} {}", "is_send": "1"}).content.decode()
    assert "{name}, {a|b}" in page
    for quiet in ({"message": "Hi {}", "is_send": "1"}, {"message": "Hi {name}"}):
        assert "as it is written" not in client.post(reverse("composed"), quiet).content.decode()


@pytest.mark.django_db
def test_a_campaign_without_values_is_previewed_as_it_will_read(client: Client) -> None:
    client.force_login(MembershipFactory().user)
    found = client.post(reverse("composed"), {"message": "{{a}} {b|c}", "is_campaign": "1"}).context["composed"]
    assert (found.text, found.segments) == ("{a} c", analyse("{a} c").segment_count)


@pytest.mark.django_db
def test_a_campaigns_placeholder_without_a_column_is_told_how_to_be_written(client: Client) -> None:
    body = {"phone_numbers": phones(2), "message": "Only ${price}"}
    headers = {"X-API-Key": make_api_key()[1]}
    answer = client.post("/api/v1/sms/bulk", body, content_type="application/json", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "TEMPLATE_VARIABLE_MISSING")
    assert "{{price}}" in answer.json()["error"]["message"]
