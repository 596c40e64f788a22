"""`POST /files/upload` and the way from a file to a campaign, as a customer's program goes it."""

from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from campaigns.models import Campaign
from messaging.models import Message
from messaging.sending.expansion import expand_ready
from tests.data import make_customers
from tests.support.api import Caller, failure_of
from uploads.files.reading import read_upload
from uploads.models import Upload

pytestmark = [pytest.mark.django_db, pytest.mark.once]
SAMPLE = Path(make_customers.__file__).with_name("customers.csv")


@pytest.fixture
def caller(client) -> Caller:
    return Caller(client)


def upload(caller, content, name="numbers.csv", **fields):
    file = SimpleUploadedFile(name, content)
    return caller.client.post("/api/v1/files/upload", {"file": file, **fields}, headers={"X-API-Key": caller.key})


def read(upload_id: str) -> Upload:
    row = Upload.objects.get(upload_id=upload_id)
    assert read_upload(row.pk, "test")
    row.refresh_from_db()
    return row


def test_a_file_becomes_a_personalised_campaign(caller):
    content = "name;phone\nZoë;0151 12345678\nИван;+49 171 1234567\nBad;12\nAgain;+4915112345678\n".encode()
    answer = upload(caller, content)
    assert answer.status_code == 201
    upload_id = answer.json()["data"]["upload_id"]
    early = caller.post("sms/bulk", {"message": "Hi {name}", "upload_id": upload_id})
    failure_of(early, 409, "UPLOAD_NOT_READY")
    read(upload_id)
    state = caller.get(f"uploads/{upload_id}").json()["data"]
    assert (state["status"], state["row_count"], state["phone_count"]) == ("READY", 4, 2)
    assert (state["invalid_count"], state["duplicate_count"], state["progress"]) == (1, 1, 1.0)
    refused = caller.get(f"uploads/{upload_id}/errors").json()["data"]
    assert [(row["row"], row["reason"]) for row in refused["results"]] == [(4, "invalid_number"), (5, "duplicate")]
    numbers = caller.get(f"uploads/{upload_id}/numbers?limit=1").json()["data"]
    assert numbers["results"] == [{"row": 2, "phone_number": "+4915112345678"}]
    last = caller.get(numbers["next"].partition("/api/v1/")[2]).json()["data"]
    assert last == {"results": [{"row": 3, "phone_number": "+491711234567"}], "next": None}
    started = caller.post("sms/bulk", {"message": "Hi {name}", "upload_id": upload_id, "name": "Spring"})
    assert (started.status_code, started.json()["data"]["total_recipients"]) == (202, 2)
    expand_ready()
    assert sorted(message.text for message in Message.objects.all()) == ["Hi Zoë", "Hi Иван"]


def test_a_missing_column_is_named_before_anything_starts(caller):
    upload_id = upload(caller, b"name;phone\nAnn;+4915112345678\n").json()["data"]["upload_id"]
    read(upload_id)
    answer = caller.post("sms/bulk", {"message": "Hi {nmae}", "upload_id": upload_id})
    error = failure_of(answer, 422, "TEMPLATE_VARIABLE_MISSING")
    assert error["details"]["missing"] == ["nmae"]
    assert not Campaign.objects.exists()


WRONG_FILES = [
    (b"", "numbers.csv", 422),
    (b"MZ\x90\x00" + b"\x00" * 200, "numbers.csv", 422),
    (b"\x7fELF" + b"\x00" * 200, "numbers.csv", 422),
    (b"phone\n+4915112345678\n<script>alert(1)</script>\n", "numbers.csv", 422),
    (b"phone,url\n+4915112345678,JaVaScRiPt:alert(1)\n", "numbers.csv", 422),
    (b"PK\x03\x04" + b"x" * 100, "numbers.csv", 422),
    (b"phone\n+49151\x00123\n", "numbers.csv", 422),
    (b"name,city\nAnn,Rome\nBob,Oslo\n", "numbers.csv", 422),
    (b"+4915112345678\n", "numbers.exe", 422),
]


@pytest.mark.parametrize(("content", "name", "status"), WRONG_FILES)
def test_a_file_that_cannot_be_is_refused_and_nothing_is_kept(caller, settings, content, name, status):
    error = failure_of(upload(caller, content, name), status, "UPLOAD_INVALID")
    assert error["details"]["field"] == "file"
    assert not Upload.objects.exists()
    assert not list(Path(settings.UPLOAD_DIR).glob("*"))


def test_a_file_over_the_limit(caller, settings):
    settings.UPLOAD_MAX_BYTES = 1000
    failure_of(upload(caller, b"+4915112345678\n" * 100, "n.txt"), 413, "PAYLOAD_TOO_LARGE")
    assert not Upload.objects.exists()


@pytest.mark.parametrize("fields", [{"country": "xx"}, {"country": "ZZ"}, {"phone_column": "nope"}, {"colour": "red"}])
def test_a_wrong_option_is_named(caller, fields):
    answer = upload(caller, b"name;phone\nAnn;+4915112345678\n", **fields)
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]["details"]["field"] in fields
    assert not Upload.objects.exists()


def test_no_file_at_all(caller):
    answer = caller.client.post("/api/v1/files/upload", {}, headers={"X-API-Key": caller.key})
    assert failure_of(answer, 400, "VALIDATION_ERROR")["details"]["field"] == "file"
    failure_of(caller.post("files/upload", {"file": "x"}), 415, "UNSUPPORTED_MEDIA_TYPE")


def test_another_accounts_upload_does_not_exist(caller, client):
    upload_id = upload(caller, b"+4915112345678\n", "n.txt").json()["data"]["upload_id"]
    stranger = Caller(client)
    for path in (f"uploads/{upload_id}", f"uploads/{upload_id}/errors", f"uploads/{upload_id}/numbers"):
        failure_of(stranger.get(path), 404, "NOT_FOUND")
    failure_of(stranger.post("sms/bulk", {"message": "Hi", "upload_id": upload_id}), 404, "NOT_FOUND")


def test_numbers_of_a_request_are_screened_row_by_row(caller):
    numbers = ["+4915112345678", "0151 12345678", "nonsense", "+4915112345679"]
    data = caller.post("sms/bulk", {"message": "Hi", "phone_numbers": numbers}).json()["data"]
    assert (data["total_recipients"], data["refused_count"]) == (2, 2)
    assert [(row["row"], row["reason"]) for row in data["refused"]] == [(2, "duplicate"), (3, "not_a_number")]


@pytest.mark.parametrize(
    "body",
    [
        {"message": "Hi"},
        {"message": "Hi", "phone_numbers": ["+4915112345678"], "upload_id": "upl-x"},
        {"message": "Hi", "phone_numbers": ["x"]},
        {"message": "Hi", "phone_numbers": ["+4915112345678"] * 10_001},
    ],
)
def test_a_bulk_request_that_makes_no_campaign(caller, body):
    answer = caller.post("sms/bulk", body)
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]["details"]["field"].startswith("phone_numbers")
    assert not Campaign.objects.exists()


def test_campaigns_are_listed_newest_first_and_paged(caller):
    for n in range(3):
        caller.post("sms/bulk", {"message": "Hi", "phone_numbers": ["+4915112345678"], "name": f"C{n}"})
    first = caller.get("campaigns?limit=2").json()["data"]
    assert [campaign["name"] for campaign in first["results"]] == ["C2", "C1"]
    rest = caller.client.get(first["next"], headers={"X-API-Key": caller.key}).json()["data"]
    assert [campaign["name"] for campaign in rest["results"]] == ["C0"]


def test_texts_and_values_are_composed_and_have_plain_line_ends(caller):
    """An e with a separate accent would make a whole message Unicode, at twice the price."""
    content = "name;phone\nRene\u0301;+4915112345678\n".encode()
    upload_id = upload(caller, content).json()["data"]["upload_id"]
    read(upload_id)
    caller.post("sms/bulk", {"message": "Hi {name},\r\ncafe\u0301", "upload_id": upload_id})
    expand_ready()
    message = Message.objects.get()
    assert (message.text, message.segment_count) == ("Hi Ren\u00e9,\ncaf\u00e9", 1)
