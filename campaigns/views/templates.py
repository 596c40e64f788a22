"""The dashboard's pages of texts kept to be used again."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.choices import Scope
from accounts.dashboard.decorators import MemberRequest, allowed, current_account, may
from accounts.dashboard.once import once
from campaigns.forms.templates import TemplateForm
from campaigns.models import MessageTemplate
from campaigns.texts.message_templates import change_template, create_template, delete_template, template_of
from messaging.preflight.text_cost import compose
from smsapp.core.exceptions import NotFound, SmsappError
from smsapp.lib.text import normalise

MOST_SHOWN = 500


@allowed(Scope.CAMPAIGNS_READ)
@require_GET
def template_list(request: MemberRequest) -> HttpResponse:
    rows = MessageTemplate.objects.filter(account=current_account(request)).order_by("name")[:MOST_SHOWN]
    context = {"rows": rows, "may_write": may(request.membership, Scope.CAMPAIGNS_WRITE)}
    return render(request, "campaigns/templates.html", context)


@allowed(Scope.CAMPAIGNS_READ)
@require_http_methods(["GET", "POST"])
def template_edit(request: MemberRequest, template_id: str | None = None) -> HttpResponseBase:
    """A new one, without an id."""
    if template_id is None:
        return _made_once(request)
    return _edit(request, _template(request, template_id))


@once
def _made_once(request: MemberRequest) -> HttpResponse:
    return _edit(request, None)


def _edit(request: MemberRequest, template: MessageTemplate | None) -> HttpResponse:
    if not may(request.membership, Scope.CAMPAIGNS_WRITE):
        raise PermissionDenied
    initial = {"name": template.name, "message": template.message} if template else {}
    form = TemplateForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        name, message = form.cleaned_data["name"], normalise(form.cleaned_data["message"])
        try:
            if template:
                change_template(template, request.user, {"name": name, "message": message})
            else:
                create_template(current_account(request), request.user, name, message)
        except SmsappError as error:
            form.refuse(error)
        else:
            messages.success(request, _("The template is saved."))
            return redirect("templates")
    composed = compose(current_account(request), str(form["message"].value() or ""))
    return render(request, "campaigns/template.html", {"form": form, "template": template, "composed": composed})


@allowed(Scope.CAMPAIGNS_WRITE)
@require_POST
def template_delete(request: MemberRequest, template_id: str) -> HttpResponse:
    delete_template(_template(request, template_id), request.user)
    messages.success(request, _("The template is deleted."))
    return redirect("templates")


def _template(request: MemberRequest, template_id: str) -> MessageTemplate:
    try:
        return template_of(current_account(request), template_id)
    except NotFound:
        raise Http404 from None
