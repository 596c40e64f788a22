"""The first recipients of an upload, audience or contact list, for a person to look at."""

from collections.abc import Sequence
from dataclasses import dataclass

from uploads.chunks import unpack_body
from uploads.models import Audience, AudienceChunk, Contact, ContactList

SHOWN = 50


@dataclass(frozen=True, slots=True)
class SampleRow:
    """`row`: number in the file, or position in the list, from 1. `values`: of the sample's columns."""

    row: int
    phone: str
    values: Sequence[str]


@dataclass(frozen=True, slots=True)
class Sample:
    columns: Sequence[str]
    rows: Sequence[SampleRow]
    total: int


def sample_of(audience: Audience) -> Sample:
    """Return a sample of the first chunk with recipients; empty if there is none."""
    chunk = AudienceChunk.objects.filter(audience=audience, good_count__gt=0).order_by("number").first()
    rows = []
    if chunk is not None:
        recipients = unpack_body(chunk.body)
        first = zip(recipients.rows[:SHOWN], recipients.phones[:SHOWN], recipients.values[:SHOWN], strict=True)
        rows = [SampleRow(*row) for row in first]
    return Sample(audience.columns, rows, audience.recipient_count)


def sample_of_list(contact_list: ContactList) -> Sample:
    """Return a sample whose columns are the names of the values shown."""
    contacts = list(Contact.objects.filter(contact_list=contact_list).order_by("pk")[:SHOWN])
    columns = list(dict.fromkeys(name for contact in contacts for name in contact.values))
    rows = [
        SampleRow(position, contact.phone_number, [contact.values.get(name, "") for name in columns])
        for position, contact in enumerate(contacts, 1)
    ]
    return Sample(columns, rows, contact_list.contact_count)
