"""No state waits for nobody: each that is not final has an owner, a deadline and an end."""

from html import unescape

import pytest
from django.urls import reverse

from messaging.choices import MACHINES, RANK, BatchState, MessageStatus
from messaging.upkeep.state_owners import A_PERSON, OWNERS
from smsapp import queues
from uploads.choices import UploadStatus

#: Closed; later proof may correct them, and nothing waits for it.
CORRECTABLE = {MessageStatus.UNCONFIRMED, MessageStatus.UNDELIVERED}
UPLOAD_OVER = {UploadStatus.READY, UploadStatus.FAILED, UploadStatus.RETIRED}
OWNED = {(line.thing, line.state) for line in OWNERS}


def name(state) -> str:
    return state.label if isinstance(state, MessageStatus) else str(state)


def waiting(thing: str) -> set[str]:
    states = {source for source, targets in MACHINES[thing].moves().items() if targets}
    return {name(state) for state in states - CORRECTABLE}


@pytest.mark.parametrize("thing", MACHINES)
def test_every_state_that_is_not_final_has_an_owner_and_no_final_one_has(thing):
    assert {state for owned, state in OWNED if owned == thing} == waiting(thing)


def test_uploads_and_report_bodies_have_owners_too():
    assert {state for owned, state in OWNED if owned == "upload"} == set(UploadStatus) - UPLOAD_OVER
    assert {state for owned, state in OWNED if owned == "report body"} == {"waiting", "unreadable", "unmatched"}


def test_every_owner_is_woken_by_beat_or_is_a_person():
    woken = {entry["task"] for entry in queues.BEAT_SCHEDULE.values()}
    assert {line.task for line in OWNERS if line.task} <= woken
    assert all(line.owner == A_PERSON for line in OWNERS if not line.task)
    assert all(line.deadline and line.then for line in OWNERS)


def test_only_closed_messages_are_left_out():
    assert {RANK[status] for status in CORRECTABLE} == {8, 9}
    assert BatchState.DONE.value not in {state for thing, state in OWNED if thing == "batch"}


@pytest.mark.django_db
def test_the_console_shows_them(admin_client):
    page = unescape(admin_client.get(reverse("admin:index")).content.decode())
    assert all(line.owner in page for line in OWNERS)
