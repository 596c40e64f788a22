"""`POST /files/upload`, and reading an upload back: its state, its refused rows, its numbers."""

from typing import cast

from django.http import QueryDict
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import generics
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.caller import caller_of
from accounts.choices import Scope
from smsapp.api.query import require_known, whole_number
from smsapp.api.views import AccountMixin
from smsapp.exceptions import NotFound, ValidationError
from uploads.api.serializers import Numbers, RefusedRow, RefusedRows, UploadRequest, UploadSerializer
from uploads.models import Upload
from uploads.querysets import UploadQuerySet
from uploads.services import accept_upload, numbers, refused_rows

MAX_PAGE = 1000
PAGE = [
    OpenApiParameter("offset", int, description="Rows to pass over; 0 at first, then `next_offset`."),
    OpenApiParameter("limit", int, description=f"1 to {MAX_PAGE}; 100 if left out."),
]


class FileUploadView(AccountMixin, APIView):
    write_scope = Scope.CONTACTS_WRITE
    parser_classes = (MultiPartParser,)

    @extend_schema(
        operation_id="files_upload", summary="Upload a file of phone numbers", tags=["uploads"],
        request={"multipart/form-data": UploadRequest}, responses={201: UploadSerializer},
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        """The file is checked at once and read in the background: poll `/uploads/{upload_id}` until it is `ready`."""
        if len(request.FILES.getlist("file")) > 1:
            raise ValidationError("One file at a time: the request holds several.", "file")
        form = UploadRequest(data=cast(QueryDict, request.data).dict())
        form.is_valid(raise_exception=True)
        options, caller = dict(form.validated_data), caller_of(request)
        file = options.pop("file")
        upload = accept_upload(caller.account, caller.user, file, **options)
        return Response(UploadSerializer(upload).data, status=201)


@extend_schema_view(
    get=extend_schema(operation_id="uploads_read", summary="Read the state of an upload", tags=["uploads"])
)
class UploadView(AccountMixin, generics.RetrieveAPIView[Upload]):
    read_scope = Scope.CONTACTS_READ
    serializer_class = UploadSerializer
    lookup_field = "upload_id"

    def get_queryset(self) -> UploadQuerySet:
        return Upload.objects.for_account(caller_of(self.request).account)


class UploadErrorsView(AccountMixin, APIView):
    read_scope = Scope.CONTACTS_READ

    @extend_schema(
        operation_id="uploads_errors", summary="Rows that are no recipients, and why", tags=["uploads"],
        parameters=PAGE, responses=RefusedRows,
    )  # fmt: skip
    def get(self, request: Request, upload_id: str) -> Response:
        upload, (offset, limit) = _upload(request, upload_id), _page(request)
        found = list(refused_rows(upload.audience, offset, limit + 1)) if upload.audience else []
        rows = RefusedRow(found[:limit], many=True).data
        return Response({"rows": rows, "next_offset": offset + limit if len(found) > limit else None})


class UploadNumbersView(AccountMixin, APIView):
    read_scope = Scope.CONTACTS_READ

    @extend_schema(
        operation_id="uploads_numbers", summary="The numbers read from a file", tags=["uploads"],
        parameters=PAGE, responses=Numbers,
    )  # fmt: skip
    def get(self, request: Request, upload_id: str) -> Response:
        upload, (offset, limit) = _upload(request, upload_id), _page(request)
        found = numbers(upload.audience, offset, limit + 1) if upload.audience else []
        page = [{"row": row, "phone_number": phone} for row, phone in found[:limit]]
        return Response({"numbers": page, "next_offset": offset + limit if len(found) > limit else None})


def _upload(request: Request, upload_id: str) -> Upload:
    upload = Upload.objects.for_account(caller_of(request).account).filter(upload_id=upload_id).first()
    if upload is None:
        raise NotFound("There is no such upload.")
    return upload


def _page(request: Request) -> tuple[int, int]:
    require_known(request, "offset", "limit")
    return whole_number(request, "offset", 0, 0, 10**9), whole_number(request, "limit", 100, 1, MAX_PAGE)
