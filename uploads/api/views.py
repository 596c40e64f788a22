"""`POST /files/upload`, and reading an upload back: its state, its refused rows, its numbers."""

from django.http import QueryDict
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import generics
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.caller import caller_of
from accounts.choices import Scope
from smsapp.api.pagination import NewestFirst
from smsapp.api.query import choice_of, require_known, whole_number
from smsapp.api.schema import may_fail
from smsapp.api.views import AccountMixin
from smsapp.exceptions import NotFound, UploadInvalid, ValidationError
from smsapp.request_body import takes_file
from uploads.api.serializers import Numbers, RefusedRow, RefusedRows, UploadRequest, UploadSerializer
from uploads.choices import UploadStatus
from uploads.models import Upload
from uploads.querysets import UploadQuerySet
from uploads.services import accept_upload, numbers, refused_rows

MAX_PAGE = 1000
PAGE = [
    OpenApiParameter(
        "offset", {"type": "integer", "minimum": 0, "maximum": 10**9, "default": 0},
        description="Rows to pass over; 0 at first, then `next_offset`.",
    ),
    OpenApiParameter(
        "limit", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": 100}, description="Rows of a page."
    ),
]  # fmt: skip
EXAMPLE = OpenApiExample(
    "A CSV file", {"file": "numbers.csv", "phone_column": "mobile", "country": "DE"},
    request_only=True, media_type="multipart/form-data",
)  # fmt: skip


@takes_file
class FileUploadView(AccountMixin, APIView):
    write_scope = Scope.CONTACTS_WRITE
    parser_classes = (MultiPartParser,)

    @extend_schema(
        operation_id="files_upload", summary="Upload a file of phone numbers", tags=["uploads"],
        request={"multipart/form-data": UploadRequest}, responses={201: UploadSerializer}, examples=[EXAMPLE],
        extensions=may_fail(UploadInvalid),
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        """The file is checked at once and read in the background: poll `/uploads/{upload_id}` until it is `ready`."""
        if len(request.FILES.getlist("file")) > 1:
            raise ValidationError("One file at a time: the request holds several.", "file")
        data = request.data  # no QueryDict where there is no body at all, whatever its type
        form = UploadRequest(data=data.dict() if isinstance(data, QueryDict) else data)
        form.is_valid(raise_exception=True)
        options, caller = dict(form.validated_data), caller_of(request)
        file = options.pop("file")
        upload = accept_upload(caller.account, caller.user, file, **options)
        return Response(UploadSerializer(upload).data, status=201)


@extend_schema_view(
    get=extend_schema(
        operation_id="uploads_list", summary="List uploads, newest first", tags=["uploads"],
        parameters=[OpenApiParameter("status", str, enum=UploadStatus.values, description="In this state now.")],
    )
)  # fmt: skip
class UploadListView(AccountMixin, generics.ListAPIView[Upload]):
    read_scope = Scope.CONTACTS_READ
    serializer_class = UploadSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> UploadQuerySet:
        require_known(self.request, "cursor", "limit", "status")
        uploads = Upload.objects.for_account(caller_of(self.request).account)
        status = choice_of(self.request, "status", UploadStatus.values)
        return uploads if status is None else uploads.filter(status=status)


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
