"""No route takes more bytes than its view wants: the files of a form are written to the disk before anybody asks."""

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from smsapp.request_body import MAX_BODY, RequestBodyMiddleware
from tests.support.factories import MembershipFactory, make_api_key
from tests.support.pages import addresses

FORM = "multipart/form-data; boundary=x"
FILE = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n+4915112345678\r\n--x--\r\n'
UPLOAD = "/api/v1/files/upload"


def answer(path: str, length: int, cookie: str = "", **headers: str) -> int:
    """What a form of so many bytes is answered: 200 where its view is given it. `cookie`: of a session."""
    factory = RequestFactory()
    if cookie:
        factory.cookies[settings.SESSION_COOKIE_NAME] = cookie
    request = factory.generic("POST", path, FILE, FORM, headers=headers, CONTENT_LENGTH=str(length))

    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(status=200 if int(request.META["CONTENT_LENGTH"]) else 401)

    return RequestBodyMiddleware(view)(request).status_code


def session() -> str:
    """The cookie of somebody who is signed in."""
    client = Client()
    client.force_login(MembershipFactory.create().user)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


@pytest.mark.django_db
def test_no_route_takes_more_than_the_largest_file() -> None:
    paths = list(addresses())
    assert len(paths) > 150
    assert {UPLOAD, "/admin/login/", "/accounts/sign-in/"} < set(paths)
    own, (_, secret) = session(), make_api_key()
    assert {answer(path, settings.UPLOAD_MAX_BYTES + MAX_BODY, own, **{"X-API-Key": secret}) for path in paths} == {413}


@pytest.mark.django_db
def test_a_file_is_taken_where_files_are_uploaded_and_from_nobody_who_is_a_stranger_to_the_pages() -> None:
    own = session()
    assert {path for path in addresses() if answer(path, 2 * MAX_BODY, own) == 200} == {UPLOAD, "/campaigns/new/"}
    for cookie in ("", "invented"):
        assert not {path for path in addresses() if answer(path, 2 * MAX_BODY, cookie) == 200}
    _, secret = make_api_key()
    key = {"X-API-Key": secret}
    assert {path for path in addresses() if answer(path, 2 * MAX_BODY, **key) == 200} == {UPLOAD}
    assert {answer(path, MAX_BODY) for path in addresses()} == {200}


def test_the_middleware_is_in_front_of_all_that_read() -> None:
    names = settings.MIDDLEWARE
    before = names[: names.index("smsapp.request_body.RequestBodyMiddleware")]
    assert not [name for name in before if "Csrf" in name or "Session" in name or "Auth" in name]


@pytest.mark.django_db
def test_a_file_of_a_stranger_is_left_unread_and_its_view_says_so() -> None:
    bodies: list[bytes] = []

    def view(request: HttpRequest) -> HttpResponse:
        bodies.append(request.read())
        return HttpResponse()

    for wrong in ({}, {"X-API-Key": "sms_live_invented"}, {"Authorization": "Bearer invented"}):
        request = RequestFactory().generic("POST", UPLOAD, FILE, FORM, headers=wrong, CONTENT_LENGTH=str(2 * MAX_BODY))
        RequestBodyMiddleware(view)(request)
        body = {"file": SimpleUploadedFile("n.txt", b"\n" * (2 * MAX_BODY))}
        answer = Client().post(UPLOAD, body, headers=wrong)
        assert (answer.status_code, "WWW-Authenticate" in answer.headers) == (401, True)
    assert bodies == [b"", b"", b""]


@pytest.mark.django_db
def test_a_file_of_five_mebibytes_is_uploaded() -> None:
    _, secret = make_api_key()
    rows = b"+4915112345678\n" + b"\n" * (5 * 1024**2)
    file = SimpleUploadedFile("numbers.txt", rows)
    answer = Client().post(UPLOAD, {"file": file}, headers={"X-API-Key": secret})
    assert answer.status_code == 201
