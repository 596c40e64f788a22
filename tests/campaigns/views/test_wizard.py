"""The steps to a campaign, as forms post them."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.choices import Role
from accounts.models import Account
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign, MessageTemplate, RecurringCampaign
from campaigns.texts.message_templates import create_template
from tests.support.factories import AccountFactory, MembershipFactory, make_upload, phones
from uploads import contacts
from uploads.files.reading import read_upload
from uploads.models import Upload
from uploads.suppressions import suppress

pytestmark = [pytest.mark.django_db, pytest.mark.once]
WHEN = {"when": "now", "zone": "UTC", "canary": "none"}


@pytest.fixture
def account() -> Account:
    return AccountFactory(default_country="DE")


@pytest.fixture
def member(client: Client, account: Account) -> Client:
    client.force_login(MembershipFactory(account=account, role=Role.SENDER).user)
    return client


def upload_of(account: Account, count: int = 3) -> Upload:
    return make_upload(account, [(phone, f"Anna {n}") for n, phone in enumerate(phones(count))], ["phone", "name"])


def draft_of(client: Client, upload: Upload, message: str = "Hello {name}") -> Campaign:
    values = {"name": "Sale", "message": message, "sender_id": ""}
    answer = client.post(reverse("wizard-text-of-upload", args=[upload.upload_id]), values)
    draft = Campaign.objects.get()
    assert answer["Location"] == reverse("wizard-when", args=[draft.bulk_id])
    return draft


def test_pasted_rows_are_read_again_with_another_column(member: Client, account: Account) -> None:
    rows = "first,second\n0151 12345678,0151 12345679\n0151 12345680,0151 12345681\n"
    answer = member.post(reverse("new-campaign"), {"which": "paste", "paste-rows": rows})
    upload = Upload.objects.get()
    assert answer["Location"] == reverse("wizard-check", args=[upload.upload_id])
    read_upload(upload.pk, "reader")
    page = member.get(answer["Location"]).content.decode()
    assert "+4915112345678" in page
    form = {"phone_column": "1", "has_header": "on", "country": "DE", "delimiter": ","}
    again = member.post(answer["Location"], form)
    assert again.status_code == 302, again.content.decode()
    other = Upload.objects.exclude(pk=upload.pk).get()
    read_upload(other.pk, "reader")
    assert '<td class="is-phone number">+4915112345679</td>' in member.get(again["Location"]).content.decode()


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (1, ("1 recipient is left out:", "1 opted out", "Send 1 text message")),
        (2, ("2 recipients are left out:", "2 opted out", "Send 2 text messages")),
    ],
)
def test_one_is_said_otherwise_than_several(
    member: Client, account: Account, count: int, said: tuple[str, ...]
) -> None:
    draft = draft_of(member, upload_of(account, 2 * count))
    for phone in phones(count):
        suppress(account, phone, "asked for it")
    page = member.get(reverse("wizard-review", args=[draft.bulk_id])).content.decode()
    assert [words for words in said if words not in page] == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("customers.csv", b"", "empty"),
        ("customers.exe", b"0151 12345678", "csv"),
        ("customers.csv", b"<script>alert(1)</script>\n", "script"),
    ],
)
def test_a_file_that_is_none_is_refused_with_the_reason(member: Client, name: str, content: bytes, said: str) -> None:
    answer = member.post(reverse("new-campaign"), {"which": "file", "file-file": SimpleUploadedFile(name, content)})
    assert answer.status_code == 422
    assert said in answer.content.decode().lower()
    assert not Upload.objects.exists()


def test_what_is_confirmed_can_be_undone_for_a_while(member: Client, account: Account, settings: Any) -> None:
    settings.UNDO_SECONDS = 30
    draft = draft_of(member, upload_of(account))
    member.post(reverse("wizard-when", args=[draft.bulk_id]), WHEN)
    page = member.get(reverse("wizard-review", args=[draft.bulk_id])).content.decode()
    assert "Send 3 text messages" in page
    member.post(reverse("wizard-review", args=[draft.bulk_id]))
    draft.refresh_from_db()
    assert draft.status == CampaignStatus.SCHEDULED
    assert timedelta(seconds=20) < draft.scheduled_at - timezone.now() <= timedelta(seconds=30)
    member.post(reverse("campaign-withdraw", args=[draft.bulk_id]))
    draft.refresh_from_db()
    assert (draft.status, draft.scheduled_at) == (
        CampaignStatus.DRAFT,
        None,
    )  # else it could not be sent a minute later


def test_a_refused_confirmation_leaves_the_draft_as_it_was(member: Client, account: Account) -> None:
    draft = draft_of(member, upload_of(account))
    account.daily_message_limit = 1
    account.save()
    page = member.post(reverse("wizard-review", args=[draft.bulk_id]))
    assert page.status_code == 200
    assert "alert-danger" in page.content.decode()
    draft.refresh_from_db()
    assert (draft.status, draft.scheduled_at) == (CampaignStatus.DRAFT, None)


def test_what_tries_a_share_first_can_be_undone_changed_and_sent(member: Client, account: Account) -> None:
    draft = draft_of(member, upload_of(account))
    values = WHEN | {"canary": "percent", "canary_value": "40", "canary_wait": "15", "canary_floor": "80"}
    member.post(reverse("wizard-when", args=[draft.bulk_id]), values)
    member.post(reverse("wizard-review", args=[draft.bulk_id]))
    member.post(reverse("campaign-withdraw", args=[draft.bulk_id]))
    text = {"name": "Sale", "message": "Hello again", "sender_id": ""}
    assert member.post(reverse("wizard-text", args=[draft.bulk_id]), text).status_code == 302
    assert member.post(reverse("wizard-review", args=[draft.bulk_id])).status_code == 302
    draft.refresh_from_db()
    assert (draft.status, draft.canary_percent, draft.canary_size) == (CampaignStatus.SCHEDULED, 40, 2)


def test_a_value_that_is_missing_is_named_and_nothing_is_stored(member: Client, account: Account) -> None:
    upload = upload_of(account)
    values = {"name": "Sale", "message": "Hello {nickname}", "sender_id": ""}
    answer = member.post(reverse("wizard-text-of-upload", args=[upload.upload_id]), values)
    assert answer.status_code == 200
    assert "nickname" in answer.content.decode()
    assert not Campaign.objects.exists()


def test_times_are_those_of_the_zone_that_was_chosen(member: Client, account: Account) -> None:
    draft = draft_of(member, upload_of(account))
    day = (timezone.now() + timedelta(days=3)).strftime("%Y-%m-%d")
    values = WHEN | {
        "when": "later",
        "at": f"{day}T09:00",
        "zone": "Asia/Tokyo",
        "quiet_from": "22:00",
        "quiet_until": "07:00",
        "canary": "percent",
        "canary_value": "10",
        "canary_wait": "20",
        "canary_floor": "90",
    }
    member.post(reverse("wizard-when", args=[draft.bulk_id]), values)
    draft.refresh_from_db()
    assert draft.scheduled_at.isoformat() == f"{day}T00:00:00+00:00"
    assert (draft.canary_percent, draft.canary_size, draft.canary_wait, draft.canary_floor) == (10, None, 1200, 90)
    assert str(draft.quiet_from) == "22:00:00"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"when": "later"}, "at"),
        ({"when": "later", "at": "2020-01-01T10:00"}, "at"),
        ({"when": "again", "every": "week", "clock": "09:00"}, "weekdays"),
        ({"when": "again", "every": "cron", "cron": "x y"}, "cron"),
        ({"when": "again", "every": "cron", "cron": "0 0 31 2 *"}, "cron"),
        ({"quiet_from": "22:00"}, "quiet_until"),
        ({"canary": "percent", "canary_value": "99"}, "canary_value"),
        ({"zone": "Mars/Olympus"}, "zone"),
    ],
)
def test_a_time_that_makes_no_sense_is_refused_at_its_field(
    member: Client, account: Account, values: dict[str, str], field: str
) -> None:
    draft = draft_of(member, upload_of(account))
    answer = member.post(reverse("wizard-when", args=[draft.bulk_id]), WHEN | values)
    assert answer.status_code == 200
    assert field in answer.context["form"].errors


def test_again_and_again_makes_a_recurring_campaign_of_the_list_as_it_will_stand(
    member: Client, account: Account
) -> None:
    user = account.memberships.get().user
    regulars = contacts.create_list(account, user, "Regulars")
    contacts.put_contact(regulars, user, phones(1)[0], {"name": "Anna"})
    values = {"name": "Weekly", "message": "Hello {name|there}", "sender_id": ""}
    member.post(reverse("wizard-text-of-list", args=[regulars.list_id]), values)
    draft = Campaign.objects.get()
    rule = WHEN | {"when": "again", "every": "week", "weekdays": ["1", "4"], "clock": "09:30", "zone": "Europe/Berlin"}
    member.post(reverse("wizard-when", args=[draft.bulk_id]), rule)
    member.logout()
    member.force_login(user)  # whoever comes back finds it as it was left
    kept = member.get(reverse("wizard-when", args=[draft.bulk_id])).context["form"]
    assert (kept["when"].value(), kept["every"].value(), kept["weekdays"].value()) == ("again", "week", ["1", "4"])
    answer = member.post(reverse("wizard-review", args=[draft.bulk_id]))
    made = RecurringCampaign.objects.get()
    assert answer["Location"] == reverse("recurring-detail", args=[made.recurring_id])
    assert (made.contact_list, made.rule.day_of_week, made.rule.hour) == (regulars, "1,4", "9")
    assert not Campaign.objects.exists()
    for action, state in (("pause", "paused"), ("resume", "active"), ("end", "ended")):
        member.post(reverse(f"recurring-{action}", args=[made.recurring_id]))
        made.refresh_from_db()
        assert made.status == state


def test_a_second_confirmation_starts_nothing_more(member: Client, account: Account) -> None:
    draft = draft_of(member, upload_of(account))
    confirm, shown = (reverse(name, args=[draft.bulk_id]) for name in ("wizard-review", "campaign-detail"))
    assert [member.post(confirm)["Location"] for _ in range(2)] == [shown, shown]
    assert Campaign.objects.count() == 1


def test_the_preview_is_of_the_row_that_is_asked_for(member: Client, account: Account) -> None:
    upload = upload_of(account)
    values = {"upload_id": upload.upload_id, "message": "Hello {name}", "index": "1", "sender_id": ""}
    page = member.post(reverse("wizard-composed"), values).content.decode()
    assert re.search(r'class="message-text">Hello Anna 1<', page)
    for index in ("-1", "x", "²", "9" * 20, "9" * 5000):
        assert member.post(reverse("wizard-composed"), values | {"index": index}).status_code == 200


def test_a_plainer_character_is_offered_only_where_the_writer_can_put_it(member: Client, account: Account) -> None:
    """Not for one of a recipient's data or of a column's name, and not on the page that only shows the text."""
    upload = make_upload(account, [("+4915112345678", "Zoë ş ï")], ["phone", "näme ş"])
    message = "“Hi” {näme ş|ï ğ}"
    values = {"upload_id": upload.upload_id, "message": message, "index": "0", "sender_id": ""}
    page = member.post(reverse("wizard-composed"), values).content.decode()
    assert re.findall('data-replace="(.)"', page) == ["“", "”", "ï"]
    assert page.count("from the recipient’s data") == 2
    draft = draft_of(member, upload, message)
    shown = member.get(reverse("wizard-review", args=[draft.bulk_id])).content.decode()
    again = {"bulk_id": draft.bulk_id, "message": message, "index": "0", "is_final": "yes"}
    for text in (shown, member.post(reverse("wizard-composed"), again).content.decode()):
        assert "<code>ş</code>" in text
        assert "data-replace" not in text


def test_a_zone_that_was_chosen_is_kept(member: Client, account: Account) -> None:
    """Only one that nobody chose is filled in with the browser's."""
    draft = draft_of(member, upload_of(account))
    address = reverse("wizard-when", args=[draft.bulk_id])
    assert "data-own-zone" in member.get(address).content.decode()
    rule = WHEN | {"when": "again", "every": "day", "clock": "09:00", "valid_until": "2099-01-01T10:00"}
    member.post(address, rule | {"zone": "Asia/Tokyo"})
    again = member.get(address)
    assert "data-own-zone" not in again.content.decode()
    assert again.context["form"]["valid_until"].value() == "2099-01-01T10:00"
    assert "data-own-zone" not in member.post(address, WHEN | {"when": "later"}).content.decode()


@pytest.mark.parametrize("number", ["", "12345"])
def test_a_refused_try_out_keeps_what_was_written_and_can_be_sent_again(
    member: Client, account: Account, number: str
) -> None:
    draft = draft_of(member, upload_of(account))
    address, once = reverse("wizard-try", args=[draft.bulk_id]), {"once": "a" * 32}
    for _ in range(2):
        answer = member.post(address, once | {"phone_number": number})
        assert answer.status_code == 422
        assert answer.context["try_form"].errors["phone_number"]
        assert f'value="{number}"' in answer.content.decode() or not number
    confirm = reverse("wizard-review", args=[draft.bulk_id])
    assert f'action="{confirm}"' in answer.content.decode()  # this page has another address than the review
    assert member.post(address, once | {"phone_number": phones(1)[0]})["Location"] == confirm


def test_a_try_out_without_a_text_says_so(member: Client, account: Account) -> None:
    draft = draft_of(member, make_upload(account, [(phones(1)[0], "")], ["phone", "name"]))
    answer = member.post(reverse("wizard-try", args=[draft.bulk_id]), {"phone_number": phones(1)[0], "once": "a" * 32})
    assert (answer.status_code, Campaign.objects.count()) == (422, 1)
    assert "No text can be made for the first recipient." in answer.content.decode()


def test_the_text_that_was_saved_last_counts_also_when_it_is_the_first_again(member: Client, account: Account) -> None:
    page = reverse("wizard-text-of-upload", args=[upload_of(account).upload_id])
    for message in ("A", "B", "A"):
        answer = member.post(page, {"name": "Sale", "message": message, "sender_id": "", "once": "a" * 32})
        assert answer["Location"] == reverse("wizard-when", args=[Campaign.objects.get().bulk_id])
        assert Campaign.objects.get().message == message


def test_the_template_that_was_saved_last_counts_also_when_it_is_the_first_again(
    member: Client, account: Account
) -> None:
    template = create_template(account, MembershipFactory(account=account).user, "Sale", "Hello")
    for message in ("A", "B", "A"):
        form = {"name": "Sale", "message": message, "once": "a" * 32}
        assert member.post(reverse("template-edit", args=[template.template_id]), form).status_code == 302
        assert MessageTemplate.objects.get().message == message


def test_a_template_is_made_once(member: Client) -> None:
    for _ in range(2):
        answer = member.post(reverse("template-new"), {"name": "Sale", "message": "A", "once": "a" * 32})
        assert answer["Location"] == reverse("templates")
    assert MessageTemplate.objects.count() == 1
