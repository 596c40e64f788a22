"""`templates`: texts kept to be used again."""

from collections.abc import Mapping

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import mixins, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access.principal import caller_of
from accounts.choices import Scope
from campaigns.api.template_serializers import TemplateRequest, TemplateSerializer
from campaigns.models import MessageTemplate
from campaigns.texts import message_templates
from campaigns.validation import check_text
from smsapp.api.openapi.schema import may_fail
from smsapp.api.pagination import NewestFirst
from smsapp.api.query_params import PAGE
from smsapp.api.serializers import checked
from smsapp.api.views import AccountMixin
from smsapp.core.exceptions import AlreadyExists, InvalidState, MessageTooLong
from smsapp.lib.text import normalise

REMINDER = OpenApiExample(
    "With a default", {"name": "Reminder", "message": "Hello {first_name|there}, see you at {time}."}, request_only=True
)


@extend_schema_view(
    list=extend_schema(operation_id="templates_list", summary="List templates, newest first"),
    retrieve=extend_schema(operation_id="templates_read", summary="Read a template"),
)
@extend_schema(tags=["templates"])
class TemplateViewSet(
    AccountMixin, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[MessageTemplate]
):
    """The same for live and test keys."""

    read_scope = Scope.CAMPAIGNS_READ
    write_scope = Scope.CAMPAIGNS_WRITE
    serializer_class = TemplateSerializer
    lookup_field = "template_id"
    pagination_class = NewestFirst
    parameters = {"list": PAGE}

    def get_queryset(self) -> QuerySet[MessageTemplate]:
        return MessageTemplate.objects.filter(account=caller_of(self.request).account)

    def get_object(self) -> MessageTemplate:
        return message_templates.template_of(caller_of(self.request).account, self.kwargs["template_id"])

    @extend_schema(
        operation_id="templates_create",
        summary="Make a template",
        request=TemplateRequest,
        examples=[REMINDER],
        responses={201: TemplateSerializer},
        extensions=may_fail(AlreadyExists, MessageTooLong, InvalidState),
    )
    def create(self, request: Request) -> Response:
        data, caller = _checked(request), caller_of(request)
        made = message_templates.create_template(caller.account, caller.user, data["name"], data["message"])
        return Response(TemplateSerializer(made).data, status=201)

    @extend_schema(
        operation_id="templates_update",
        summary="Change a template",
        request=TemplateRequest,
        examples=[REMINDER],
        responses=TemplateSerializer,
        extensions=may_fail(AlreadyExists, MessageTooLong, InvalidState),
    )
    def partial_update(self, request: Request, template_id: str) -> Response:
        """What is left out stays. Campaigns that were made with it keep their text."""
        template, data = self.get_object(), _checked(request, partial=True)
        return Response(
            TemplateSerializer(message_templates.change_template(template, caller_of(request).user, data)).data
        )

    @extend_schema(operation_id="templates_delete", summary="Delete a template", responses={204: None})
    def destroy(self, request: Request, template_id: str) -> Response:
        """Campaigns that were made with it keep their text."""
        message_templates.delete_template(self.get_object(), caller_of(request).user)
        return Response(status=204)


def _checked(request: Request, *, partial: bool = False) -> dict[str, str]:
    data = checked(TemplateRequest, request, _check, partial=partial)
    return data | ({"message": normalise(data["message"])} if "message" in data else {})


def _check(given: Mapping[str, str]) -> None:
    """What a template is checked for, of the fields that are there."""
    if "message" in given:
        check_text(normalise(given["message"]))
