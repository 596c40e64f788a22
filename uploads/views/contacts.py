"""The dashboard's pages of contact lists."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.choices import Scope
from accounts.dashboard.decorators import MemberRequest, allowed, current_account, may
from smsapp.core.exceptions import NotFound, SmsappError
from smsapp.dashboard.pagination import page_of
from uploads import contacts
from uploads.forms.contacts import ContactForm, NameForm, UploadChoiceForm
from uploads.models import Contact, ContactList

MOST_LISTS = 500


@allowed(Scope.CONTACTS_READ)
@require_http_methods(["GET", "POST"])
def lists(request: MemberRequest) -> HttpResponse:
    """All lists; POST makes one."""
    account = current_account(request)
    form = NameForm(request.POST or None)
    if request.method == "POST":
        _require_writing(request)
        if form.is_valid():
            try:
                made = contacts.create_list(account, request.user, form.cleaned_data["name"])
            except SmsappError as error:
                form.refuse(error)
            else:
                return redirect("contact-list", list_id=made.list_id)
    rows = ContactList.objects.filter(account=account).order_by("name")[:MOST_LISTS]
    context = {"rows": rows, "form": form, "may_write": may(request.membership, Scope.CONTACTS_WRITE)}
    return render(request, "uploads/contact_lists.html", context)


@allowed(Scope.CONTACTS_READ)
@require_http_methods(["GET", "POST"])
def contact_list(request: MemberRequest, list_id: str) -> HttpResponse:
    """Its contacts, newest first; POST adds one, or gives it other values."""
    found = _list(request, list_id)
    form = ContactForm(request.POST or None)
    if request.method == "POST":
        _require_writing(request)
        if form.is_valid():
            try:
                contact, is_new = contacts.put_contact(found, request.user, **form.cleaned_data)
            except SmsappError as error:
                form.refuse(error)
            else:
                words = _("%(number)s was added to the list.") if is_new else _("%(number)s was changed.")
                messages.success(request, words % {"number": contact.phone_number})
                return redirect("contact-list", list_id=list_id)
    context = _page(request, found) | {
        "list": found,
        "form": form,
        "uploads": UploadChoiceForm(current_account(request)),
        "may_write": may(request.membership, Scope.CONTACTS_WRITE),
    }
    return render(request, "uploads/contact_list.html", context)


@allowed(Scope.CONTACTS_WRITE)
@require_POST
def fill(request: MemberRequest, list_id: str) -> HttpResponse:
    """Add the recipients of an upload."""
    found, form = _list(request, list_id), UploadChoiceForm(current_account(request), request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose an uploaded file."))
        return redirect("contact-list", list_id=list_id)
    try:
        added, changed = contacts.import_upload(found, request.user, form.cleaned_data["upload_id"])
    except SmsappError as error:
        messages.error(request, error.message)
    else:
        numbers = {"added": f"{added:,}", "changed": f"{changed:,}"}
        messages.success(request, _("%(added)s added, %(changed)s changed.") % numbers)
    return redirect("contact-list", list_id=list_id)


@allowed(Scope.CONTACTS_WRITE)
@require_POST
def remove(request: MemberRequest, list_id: str) -> HttpResponse:
    """One contact."""
    found = _list(request, list_id)
    try:
        contact = contacts.contact_of(found, request.POST.get("phone_number", "")[:40])
    except NotFound as error:
        messages.error(request, error.message)
    else:
        contacts.remove_contact(contact, request.user)
        messages.success(request, _("%(number)s was removed.") % {"number": contact.phone_number})
    return redirect("contact-list", list_id=list_id)


@allowed(Scope.CONTACTS_WRITE)
@require_http_methods(["GET", "POST"])
def settings(request: MemberRequest, list_id: str) -> HttpResponse:
    """Another name, or an end: deleting is asked for on a page of its own, with how much is lost."""
    found = _list(request, list_id)
    form = NameForm(request.POST if request.POST.get("act") == "rename" else None, initial={"name": found.name})
    if request.method == "POST" and request.POST.get("act") == "delete":
        contacts.delete_list(found, request.user)
        messages.success(request, _("The list %(name)s was deleted.") % {"name": found.name})
        return redirect("contact-lists")
    if request.method == "POST" and form.is_valid():
        try:
            contacts.rename_list(found, request.user, form.cleaned_data["name"])
        except SmsappError as error:
            form.refuse(error)
        else:
            return redirect("contact-list", list_id=list_id)
    return render(request, "uploads/contact_list_settings.html", {"list": found, "form": form})


def _list(request: MemberRequest, list_id: str) -> ContactList:
    try:
        return contacts.list_of(current_account(request), list_id)
    except NotFound:
        raise Http404 from None


def _page(request: MemberRequest, found: ContactList) -> dict[str, object]:
    """Of the list, or the one contact that is looked for."""
    number = request.GET.get("number", "")[:40]
    if not number:
        return page_of(request, Contact.objects.filter(contact_list=found))
    try:
        rows = [contacts.contact_of(found, number)]
    except NotFound:
        rows = []
    return {"rows": rows, "number": number, "is_first_page": True}


def _require_writing(request: MemberRequest) -> None:
    if not may(request.membership, Scope.CONTACTS_WRITE):
        raise PermissionDenied
