"""What a page offers to do with a campaign, for each state, kind and role."""

import pytest

from accounts.choices import Role
from accounts.models import User
from campaigns.choices import CampaignKind, CampaignStatus
from campaigns.models import Campaign
from campaigns.selectors import allowed_actions, is_unfinished

pytestmark = pytest.mark.django_db

S = CampaignStatus
OWNER, COLLEAGUE = User(pk=1), User(pk=2)
OFFERED = {
    S.DRAFT: {"cancel"},
    S.AWAITING_APPROVAL: {"approve", "withdraw", "clone", "cancel"},
    S.SCHEDULED: {"withdraw", "clone", "pause", "cancel"},
    S.RUNNING: {"clone", "pause", "cancel"},
    S.PAUSED: {"clone", "resume", "cancel"},
    S.MISSED: {"clone", "resume", "cancel"},
    S.COMPLETED: {"clone"},
    S.CANCELLED: {"clone"},
    S.FAILED: {"clone"},
}


def campaign_in(status: CampaignStatus, kind: CampaignKind = CampaignKind.BULK, **values: object) -> Campaign:
    return Campaign(pk=1, status=status, kind=kind, approval_requested_by=COLLEAGUE, **values)


@pytest.mark.parametrize("status", CampaignStatus)
def test_each_state_offers_its_own_actions(status: CampaignStatus) -> None:
    assert allowed_actions(campaign_in(status), OWNER, Role.OWNER, ["failed"]) == OFFERED[status]


@pytest.mark.parametrize("status", CampaignStatus)
def test_a_single_send_and_a_resend_never_become_drafts_again(status: CampaignStatus) -> None:
    single = allowed_actions(campaign_in(status, CampaignKind.SINGLE), OWNER, Role.OWNER, ["failed"])
    assert single == OFFERED[status] - {"withdraw", "clone"}
    resend = allowed_actions(campaign_in(status, resend_of_id=7), OWNER, Role.OWNER, ["failed"])
    assert resend == OFFERED[status] - {"withdraw"}


@pytest.mark.parametrize("status", CampaignStatus)
def test_a_viewer_is_offered_nothing(status: CampaignStatus) -> None:
    assert allowed_actions(campaign_in(status, failed=1), OWNER, Role.VIEWER, ["failed"]) == set()


def test_only_another_approver_is_offered_to_approve() -> None:
    campaign = campaign_in(S.AWAITING_APPROVAL)
    assert "approve" in allowed_actions(campaign, OWNER, Role.ADMIN, [])
    assert "approve" not in allowed_actions(campaign, OWNER, Role.SENDER, [])
    assert "approve" not in allowed_actions(campaign, COLLEAGUE, Role.ADMIN, [])


@pytest.mark.parametrize(("status", "is_offered"), [(S.COMPLETED, True), (S.CANCELLED, True), (S.RUNNING, False)])
def test_failed_messages_of_an_ended_campaign_can_be_sent_again(status: CampaignStatus, is_offered: bool) -> None:
    campaign = campaign_in(status, failed=1)
    assert ("resend" in allowed_actions(campaign, OWNER, Role.SENDER, ["failed"])) is is_offered
    assert "resend" not in allowed_actions(campaign, OWNER, Role.SENDER, ["undelivered"])


def test_a_resend_is_no_draft_that_a_person_edits() -> None:
    assert is_unfinished(campaign_in(S.DRAFT))
    assert not is_unfinished(campaign_in(S.DRAFT, resend_of_id=7))
    assert not is_unfinished(campaign_in(S.SCHEDULED))
