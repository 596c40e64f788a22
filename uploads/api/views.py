"""`POST /files/upload`, and reading an upload back: its state, its refused rows, its numbers."""

from typing import Any

from django.http import QueryDict
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ReadOnlyModelViewSet, ViewSet

from accounts.access.principal import caller_of
from accounts.choices import Scope
from smsapp.api import statuses
from smsapp.api.cursors import link_to
from smsapp.api.openapi.schema import may_fail
from smsapp.api.pagination import NewestFirst
from smsapp.api.query_params import CURSOR, PAGE, choice, page_limit, query_of
from smsapp.api.views import AccountMixin
from smsapp.core.exceptions import NotFound, UploadInvalid, ValidationError
from smsapp.request_body import takes_file
from uploads import audiences
from uploads.api.serializers import NumberPage, RefusedRow, RefusedRowPage, UploadRequest, UploadSerializer
from uploads.models import Upload
from uploads.querysets import UploadQuerySet
from uploads.services import accept_upload

MAX_PAGE = 1000
ROWS = (CURSOR, page_limit(MAX_PAGE, 100))
EXAMPLE = OpenApiExample(
    "A CSV file",
    {"file": "numbers.csv", "phone_column": "mobile", "country": "DE"},
    request_only=True,
    media_type="multipart/form-data",
)


@takes_file
class FileViewSet(AccountMixin, ViewSet):
    write_scope = Scope.CONTACTS_WRITE
    parser_classes = (MultiPartParser,)

    @extend_schema(
        operation_id="files_upload",
        summary="Upload a file of phone numbers",
        tags=["uploads"],
        request={"multipart/form-data": UploadRequest},
        responses={201: UploadSerializer},
        examples=[EXAMPLE],
        extensions=may_fail(UploadInvalid),
    )
    @action(detail=False, methods=["post"])
    def upload(self, request: Request) -> Response:
        """The file is checked at once and read in the background: poll `/uploads/{upload_id}` until it is READY."""
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
    list=extend_schema(operation_id="uploads_list", summary="List uploads, newest first", tags=["uploads"]),
    retrieve=extend_schema(operation_id="uploads_read", summary="Read the state of an upload", tags=["uploads"]),
)
class UploadViewSet(AccountMixin, ReadOnlyModelViewSet[Upload]):
    read_scope = Scope.CONTACTS_READ
    serializer_class = UploadSerializer
    pagination_class = NewestFirst
    lookup_field = "upload_id"
    parameters = {
        "list": (choice("status", statuses.UPLOAD, "In this status now."), *PAGE),
        "errors": ROWS,
        "numbers": ROWS,
    }

    def get_queryset(self) -> UploadQuerySet:
        uploads = Upload.objects.for_account(caller_of(self.request).account)
        status = query_of(self.request)["status"] if self.action == "list" else None
        return uploads if status is None else uploads.filter(status=status.lower())

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Uploads of the account, the same for live and test keys."""
        return super().list(request, *args, **kwargs)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Poll it until its status is READY or FAILED."""
        return super().retrieve(request, *args, **kwargs)

    @extend_schema(
        operation_id="uploads_errors",
        summary="Rows that are no recipients, and why",
        tags=["uploads"],
        responses=RefusedRowPage,
    )
    @action(detail=True)
    def errors(self, request: Request, upload_id: str) -> Response:
        """Each with its row, as a spreadsheet shows it."""
        upload, (offset, limit) = _upload(request, upload_id), _page(request)
        found = list(audiences.refused_rows(upload.audience, offset, limit + 1)) if upload.audience else []
        rows = RefusedRow(found[:limit], many=True).data
        return Response({"results": rows, "next": _next(request, offset, limit, len(found))})

    @extend_schema(
        operation_id="uploads_numbers",
        summary="The numbers read from a file",
        tags=["uploads"],
        responses=NumberPage,
    )
    @action(detail=True)
    def numbers(self, request: Request, upload_id: str) -> Response:
        """Each once, in E.164."""
        upload, (offset, limit) = _upload(request, upload_id), _page(request)
        found = audiences.numbers(upload.audience, offset, limit + 1) if upload.audience else []
        page = [{"row": row, "phone_number": phone} for row, phone in found[:limit]]
        return Response({"results": page, "next": _next(request, offset, limit, len(found))})


def _upload(request: Request, upload_id: str) -> Upload:
    upload = Upload.objects.for_account(caller_of(request).account).filter(upload_id=upload_id).first()
    if upload is None:
        raise NotFound("There is no such upload.")
    return upload


def _page(request: Request) -> tuple[int, int]:
    """Rows to pass over, and rows of the page."""
    query = query_of(request)
    return query["cursor"][0] if query["cursor"] else 0, query["limit"]


def _next(request: Request, offset: int, limit: int, found: int) -> str | None:
    return link_to(request, [offset + limit] if found > limit else None)
