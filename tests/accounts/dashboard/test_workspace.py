"""Account and mode stand in the address of every page of the dashboard: what a page shows is what it does."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from django.urls import get_urlconf, reverse

from accounts.choices import Mode
from accounts.dashboard.workspace import Workspace, site_url
from accounts.models import Account, Membership
from campaigns.drafts import create_draft
from campaigns.models import Campaign
from campaigns.recipients import RecipientSource
from campaigns.validation import CampaignRequest
from tests.support.factories import MembershipFactory, make_campaign, make_upload, phones
from tests.support.pages import Browser

pytestmark = [pytest.mark.django_db, pytest.mark.once]
FORM = {"phone_numbers": "0151 12345678", "sender_id": "", "message": "Hello", "when": "now", "zone": "UTC"}
#: Templates that strangers see, outside of any account, and the console's, whose address is one for all.
OUTSIDE = re.compile(r"^(admin/.*|accounts/sign_in|accounts/invitation|campaigns/opt_out)")


@pytest.fixture
def member(client: Browser) -> Membership:
    membership = MembershipFactory(account__default_country="DE")
    client.force_login(membership.user)
    return membership


def draft_of(membership: Membership, mode: Mode) -> Campaign:
    upload = make_upload(membership.account, [(phone,) for phone in phones(3)], ["phone"])
    request = CampaignRequest(kind="bulk", message="Hello", mode=mode, name="Sale")
    return create_draft(membership.account, membership.user, request, RecipientSource(upload_id=upload.upload_id))[0]


def test_two_tabs_each_send_as_their_own_page_says(client: Browser, member: Membership) -> None:
    """The page of tab A is in test mode; tab B looks at live pages meanwhile."""
    client.enter(member.account, Mode.TEST)
    tab_a = reverse("send")
    client.enter(member.account, Mode.LIVE)
    client.get("/")
    client.post(tab_a, FORM)
    assert Campaign.objects.get().mode == Mode.TEST


def test_two_tabs_each_send_for_their_own_account(client: Browser, member: Membership) -> None:
    other = MembershipFactory(user=member.user, account__default_country="DE")
    tab_a = reverse("send")
    client.enter(other.account)
    client.get("/")
    client.post(tab_a, FORM)
    assert Campaign.objects.get().account == member.account


def test_what_a_tab_refreshes_or_sends_does_not_move_where_the_person_is(client: Browser, member: Membership) -> None:
    campaign = make_campaign(member.account)
    live, form = reverse("campaign-live", args=[campaign.bulk_id]), reverse("send")
    client.enter(member.account, Mode.TEST)
    client.get(reverse("overview"))
    assert client.get(live, headers={"HX-Request": "true"}).status_code == 200
    assert client.post(form, FORM).status_code == 302
    client.close()
    assert client.get("/")["Location"] == Workspace(member.account.public_id, Mode.TEST).address("/")


def test_a_live_draft_is_shown_as_live_and_never_from_a_page_that_says_test(
    client: Browser, member: Membership
) -> None:
    draft = draft_of(member, Mode.LIVE)
    live_page = reverse("wizard-review", args=[draft.bulk_id])
    client.enter(member.account, Mode.TEST)
    page = reverse("wizard-review", args=[draft.bulk_id])
    assert client.get(page)["Location"] == live_page
    refused = client.post(page)
    assert refused.status_code == 409
    assert "Nothing was done" in refused.content.decode()
    draft.refresh_from_db()
    assert draft.status == "draft"


def test_a_test_draft_says_so_on_its_button(client: Browser, member: Membership) -> None:
    draft = draft_of(member, Mode.TEST)
    answer = client.get(reverse("wizard-review", args=[draft.bulk_id]))
    client.enter(member.account, Mode.TEST)
    assert answer["Location"] == reverse("wizard-review", args=[draft.bulk_id])
    page = client.get(answer["Location"]).content.decode()
    assert "Send 3 test messages" in page
    assert "is-test" in page
    assert "reach nobody" in page


@pytest.mark.parametrize("name", ["campaign-clone", "campaign-resend", "campaign-pause", "campaign-cancel"])
def test_no_act_on_a_live_campaign_comes_from_a_test_page(client: Browser, member: Membership, name: str) -> None:
    campaign = make_campaign(member.account)
    client.enter(member.account, Mode.TEST)
    assert client.post(reverse(name, args=[campaign.bulk_id])).status_code == 409
    campaign.refresh_from_db()
    assert (campaign.status, Campaign.objects.count()) == ("running", 1)


def test_a_form_of_another_workspace_is_refused_and_what_was_written_is_kept(
    client: Browser, member: Membership
) -> None:
    client.enter(member.account, Mode.TEST)
    page = client.get(reverse("send")).content.decode()
    field = re.search(r'name="rendered_for" value="([^"]+)"', page)
    assert field
    client.enter(member.account, Mode.LIVE)
    answer = client.post(reverse("send"), FORM | {"rendered_for": field[1], "message": "Long & carefully written"})
    assert answer.status_code == 409
    assert "Long &amp; carefully written" in answer.content.decode()
    assert not Campaign.objects.exists()


def test_pasted_rows_are_kept_like_everything_that_is_written_at_length(client: Browser, member: Membership) -> None:
    values = {"rendered_for": "another/live", "which": "paste", "paste-rows": "0151 12345678\n0151 12345679"}
    answer = client.post(reverse("new-campaign"), values)
    assert answer.status_code == 409
    assert "0151 12345678\n0151 12345679</textarea>" in answer.content.decode()


def test_an_address_without_a_workspace_leads_to_the_last_one_and_does_nothing(
    client: Browser, member: Membership
) -> None:
    client.enter(member.account, Mode.TEST)
    client.get("/campaigns/")
    test_page = reverse("campaign-list")
    client.close()
    assert client.get("/campaigns/?status=running")["Location"] == f"{test_page}?status=running"
    assert client.post("/send/", FORM).status_code == 409
    assert not Campaign.objects.exists()


def test_another_account_and_nonsense_are_404(client: Browser, member: Membership) -> None:
    strangers = MembershipFactory().account
    own = member.account.public_id
    for path in (f"/a/{strangers.public_id}/live/", f"/a/{own}/demo/", f"/a/{own}/", "/a/"):
        assert client.get(path).status_code == 404, path


@pytest.mark.parametrize("path", ["admin/", "api/v1/messages", "health", "callbacks/x/y", "accounts/sign-in/"])
def test_only_pages_of_the_dashboard_are_in_a_workspace(client: Browser, member: Membership, path: str) -> None:
    client.close()
    assert client.get(Workspace(member.account.public_id, Mode.LIVE).address(f"/{path}")).status_code == 404


def test_a_membership_that_was_taken_away_no_longer_shows_the_account(client: Browser, member: Membership) -> None:
    second = MembershipFactory(user=member.user)
    client.enter(second.account)
    assert client.get("/").status_code == 200
    second.delete()
    assert client.get("/").status_code == 404
    client.close()
    assert client.get("/")["Location"] == f"/a/{member.account.public_id}/live/"


def test_the_menu_leads_to_every_account_and_mode(client: Browser, member: Membership) -> None:
    other: Account = MembershipFactory(user=member.user).account
    page = client.get(reverse("campaign-list")).content.decode()
    assert f'href="/a/{member.account.public_id}/test/campaigns/"' in page
    assert f'href="/a/{other.public_id}/live/"' in page
    assert f'action="{site_url("sign-out")}"' in page


def test_a_page_leaves_nothing_behind_in_its_thread(client: Browser, member: Membership) -> None:
    for path in ("/", "/campaigns/nonsense/"):
        client.get(path)
        assert get_urlconf() is None
    client.close()
    assert reverse("admin:index") == "/admin/"


def test_who_signs_in_comes_back_to_the_same_workspace(client: Client, member: Membership) -> None:
    wanted = reverse("send")
    client.logout()
    answer = client.get(wanted)
    assert answer["Location"] == f"/accounts/sign-in/?next={wanted}"


def test_every_form_of_the_dashboard_says_which_workspace_it_is_of() -> None:
    folder = Path(settings.BASE_DIR) / "templates"
    for template in folder.rglob("*.html"):
        if OUTSIDE.match(str(template.relative_to(folder))):
            continue
        text = template.read_text()
        for form in re.findall(r"<form[^>]*method=\"post\".*?</form>", text, re.DOTALL):
            assert "{% form_token" in form, f"{template}: {form[:80]}"
