"""Contact lists: filled by hand or from an upload, kept, and given to campaigns as snapshots."""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.models import Account, User
from accounts.security import audit
from smsapp.core.exceptions import AlreadyExists, InvalidState, NotFound, ValidationError
from smsapp.lib.phone import RefusedNumber, parse_number
from smsapp.lib.text import forbidden_characters, normalise
from uploads import chunks
from uploads.audiences import ready_audience
from uploads.choices import AudienceSource
from uploads.chunks import Recipients
from uploads.files.reading import store_chunk
from uploads.models import Audience, AudienceChunk, Contact, ContactList
from uploads.numbers import read_number

MAX_LISTS = 1000  # of one account
MAX_CONTACTS = 2_000_000  # of one list
MAX_COLUMNS = 50  # names of values of one list
_SLICE = 5000  # rows in one statement


def list_of(account: Account, list_id: str) -> ContactList:
    """Return the account's contact list. Raises NotFound."""
    found = ContactList.objects.filter(account=account, list_id=list_id).first()
    if found is None:
        raise NotFound(_("There is no such contact list."), field="list_id", value=list_id)
    return found


def create_list(account: Account, user: User, name: str) -> ContactList:
    """Create a contact list. Raises AlreadyExists, or InvalidState with MAX_LISTS lists."""
    if ContactList.objects.filter(account=account)[MAX_LISTS - 1 : MAX_LISTS].exists():
        raise InvalidState(_("An account has at most %(max)s contact lists.") % {"max": f"{MAX_LISTS:,}"})
    made = ContactList(account=account, user=user, name=name, list_id=f"lst-{secrets.token_hex(10)}")
    with transaction.atomic():
        _save(made)
        _note("created", made, user, after={"name": name})
    return made


def rename_list(contact_list: ContactList, by: User, name: str) -> ContactList:
    """Rename a contact list. Raises AlreadyExists."""
    before = contact_list.name
    contact_list.name = name
    with transaction.atomic():
        _save(contact_list)
        _note("renamed", contact_list, by, before={"name": before}, after={"name": name})
    return contact_list


def delete_list(contact_list: ContactList, by: User) -> None:
    """Delete a list with its contacts. Campaigns keep their snapshot. Raises NotFound if it is gone."""
    with transaction.atomic():
        locked = _locked(contact_list)  # first, as in every change of contacts
        _note("deleted", locked, by, before={"name": locked.name, "contacts": locked.contact_count})
        Contact.objects.filter(contact_list=locked).delete()
        locked.delete()


def put_contact(
    contact_list: ContactList, by: User, phone_number: str, values: Mapping[str, str]
) -> tuple[Contact, bool]:
    """Add a number, written in any way, or change its values. Return whether it was added.

    Raises InvalidPhoneNumber, ValidationError, or InvalidState for a full list.
    """
    phone = read_number(contact_list.account, phone_number)
    values = _read_values(values)
    with transaction.atomic():
        locked = _locked(contact_list)
        contact, is_new = Contact.objects.update_or_create(
            contact_list=locked, phone_number=phone, defaults={"values": values}
        )
        if is_new:
            _grow(locked, 1)
        _note("contact_added" if is_new else "contact_changed", locked, by, after={"phone_hint": phone[-2:]})
    return contact, is_new


def contact_of(contact_list: ContactList, phone_number: str) -> Contact:
    """Return the contact with this number in any format. Raises NotFound."""
    try:
        phone = parse_number(phone_number, contact_list.account.default_country)
    except RefusedNumber:
        phone = ""
    contact = Contact.objects.filter(contact_list=contact_list, phone_number=phone).first() if phone else None
    if contact is None:
        raise NotFound(_("This number is not in the contact list."), field="phone_number", value=phone_number)
    return contact


def remove_contact(contact: Contact, by: User) -> None:
    with transaction.atomic():
        locked = _locked(contact.contact_list)
        removed, __ = Contact.objects.filter(pk=contact.pk).delete()
        _grow(locked, -removed)
        _note("contact_removed", locked, by, after={"phone_hint": contact.phone_number[-2:]})


def import_upload(contact_list: ContactList, by: User, upload_id: str) -> tuple[int, int]:
    """Add the recipients of a ready upload, with the values of all columns. Return (added, changed).

    A number in the list already gets the upload's values. All of it or nothing. Raises what `ready_audience` raises,
    and InvalidState if the list would grow too large.
    """
    audience = ready_audience(contact_list.account, upload_id)
    with transaction.atomic():
        locked = _locked(contact_list)
        if locked.contact_count + audience.recipient_count > MAX_CONTACTS:
            raise InvalidState(_("A contact list has at most %(max)s contacts.") % {"max": f"{MAX_CONTACTS:,}"})
        before = locked.contact_count
        rows = _rows_of(audience)
        while part := list(islice(rows, _SLICE)):
            known = Contact.objects.filter(contact_list=locked, phone_number__in=[phone for phone, _ in part])
            _grow(locked, len(part) - known.count())
            Contact.objects.bulk_create(
                (Contact(contact_list=locked, phone_number=phone, values=values) for phone, values in part),
                update_conflicts=True,
                unique_fields=["contact_list", "phone_number"],
                update_fields=["values"],
            )
        locked.refresh_from_db()
        added = locked.contact_count - before
        _note("imported", locked, by, after={"upload_id": upload_id, "added": added})
    return added, audience.recipient_count - added


def snapshot(account: Account, list_id: str) -> Audience:
    """Return the list as it is now as an audience; later changes of the list do not reach it.

    Its columns are all names of values in the list; a contact without one of them has an empty value there. Raises
    NotFound, or ValidationError for an empty list.
    """
    contact_list = list_of(account, list_id)
    contacts = Contact.objects.filter(contact_list=contact_list).order_by("pk")
    if not contact_list.contact_count:
        raise ValidationError(_("This contact list is empty."), "list_id", list_id)
    columns = _columns(contacts)
    with transaction.atomic():
        audience = Audience.objects.create(
            account=account, source=AudienceSource.CONTACTS, name=contact_list.name, columns=columns
        )
        rows = contacts.values_list("phone_number", "values").iterator(_SLICE)
        position = 0
        for number, part in enumerate(_parts(rows, settings.CHUNK_SIZE)):
            phones = [phone for phone, _ in part]
            values = [[given.get(name, "") for name in columns] for _, given in part]
            positions = list(range(position + 1, position + len(part) + 1))
            position += len(part)
            store_chunk(audience, number, positions, phones, values, refused=[], last_row=position)
        audience.refresh_from_db()
    return audience


def _rows_of(audience: Audience) -> Iterator[tuple[str, dict[str, str]]]:
    bodies = AudienceChunk.objects.filter(audience=audience).order_by("number").values_list("body", flat=True)
    for body in bodies.iterator(chunk_size=1):
        recipients: Recipients = chunks.unpack_body(body)
        for phone, values in zip(recipients.phones, recipients.values, strict=True):
            yield phone, dict(zip(audience.columns, values, strict=True))


def _parts(rows: Iterable[tuple[str, dict[str, str]]], size: int) -> Iterator[list[tuple[str, dict[str, str]]]]:
    remaining = iter(rows)
    while part := list(islice(remaining, size)):
        yield part


def _columns(contacts: QuerySet[Contact]) -> list[str]:
    """Return the names of values in the order in which they first occur in the list."""
    names: dict[str, None] = {}
    for given in contacts.values_list("values", flat=True).iterator(_SLICE):
        names.update(dict.fromkeys(given))
    return list(names)


def _read_values(values: Mapping[str, str]) -> dict[str, str]:
    """Return values as they are stored and used in texts. Raises ValidationError."""
    if len(values) > MAX_COLUMNS:
        raise ValidationError(_("A contact has at most %(max)d values.") % {"max": MAX_COLUMNS}, "values", len(values))
    read = {name: normalise(value) for name, value in values.items()}
    for name, value in read.items():
        if forbidden := forbidden_characters(value):
            raise ValidationError(
                _("A text message cannot contain %(character)s.") % {"character": repr(forbidden[0])},
                f"values.{name}",
                value,
                problem="CONTROL_CHARACTERS",
            )
    return read


def _locked(contact_list: ContactList) -> ContactList:
    """Lock the list's row, under which its count and its contacts agree."""
    locked = ContactList.objects.select_for_update().filter(pk=contact_list.pk).first()
    if locked is None:
        raise NotFound(_("There is no such contact list."), field="list_id", value=contact_list.list_id)
    return locked


def _grow(contact_list: ContactList, by: int) -> None:
    if contact_list.contact_count + by > MAX_CONTACTS:
        raise InvalidState(_("A contact list has at most %(max)s contacts.") % {"max": f"{MAX_CONTACTS:,}"})
    ContactList.objects.filter(pk=contact_list.pk).update(contact_count=F("contact_count") + by)


def _save(contact_list: ContactList) -> None:
    try:
        with transaction.atomic():
            contact_list.save()
    except IntegrityError as error:
        raise AlreadyExists(_("There is already a contact list with this name."), "name", contact_list.name) from error


def _note(
    verb: str,
    contact_list: ContactList,
    by: User,
    *,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> None:
    audit.record(
        f"contact_list.{verb}",
        account=contact_list.account,
        by=by,
        target_type="contact_list",
        target_id=contact_list.list_id,
        before=before,
        after=after,
    )
