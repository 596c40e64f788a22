"""What recipients would read: texts with the values of their rows, before anything is sent."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from campaigns.models import Campaign
from campaigns.texts.renderers import renderer_of
from campaigns.texts.rendering import Renderer, Template
from messaging.choices import Reason
from messaging.message_text import Unfit, fit_text
from smsapp.core.exceptions import NotFound
from smsapp.lib.text import analyse
from uploads.chunks import unpack_body
from uploads.models import AudienceChunk
from uploads.samples import Sample


@dataclass(frozen=True, slots=True)
class Preview:
    """`row`: number of the row. Without a text, `problem` says why and `detail` what is missing."""

    row: int
    phone_number: str
    text: str | None
    problem: str = ""
    detail: str = ""
    length: int = 0
    encoding: str = ""
    segments: int = 0
    units_left: int = 0


def first_rows(campaign: Campaign, limit: int) -> list[Preview]:
    """Return previews of the first `limit` recipients. Raises TemplateVariableMissing."""
    renderer, found = _renderer(campaign), []
    for number in range(campaign.chunk_count):
        for row, phone, values in _rows(_chunks(campaign).get(number=number)):
            found.append(_preview(renderer, row, phone, values))
            if len(found) == limit:
                return found
    return found


def of_sample(message: str, sample: Sample, index: int) -> Preview | None:
    """Return the preview of the sample's row at this index; None if there is none. Raises TemplateVariableMissing."""
    if not 0 <= index < len(sample.rows):
        return None
    renderer, row = Template(message).bind(sample.columns), sample.rows[index]
    return _preview(renderer, row.row, row.phone, list(row.values))


def one_row(campaign: Campaign, row: int) -> Preview:
    """Return the preview of one row, from 1.

    Raises NotFound, also for a rejected row, and TemplateVariableMissing.
    """
    renderer = _renderer(campaign)
    for chunk in _chunks(campaign).filter(last_row__gte=row).order_by("number").iterator(chunk_size=1):
        for number, phone, values in _rows(chunk):
            if number == row:
                return _preview(renderer, row, phone, values)
            if number > row:
                raise _no_recipient(row)
    raise _no_recipient(row)


def _no_recipient(row: int) -> NotFound:
    return NotFound(_("This row is not a recipient."), field="row", value=row)


def _renderer(campaign: Campaign) -> Renderer:
    columns = campaign.audience.columns if campaign.total_recipients else ()
    return renderer_of(campaign.kind, campaign.message, columns)


def _chunks(campaign: Campaign) -> QuerySet[AudienceChunk]:
    return AudienceChunk.objects.filter(audience=campaign.audience_id).only("audience_id", "number", "body")


def _rows(chunk: AudienceChunk) -> Iterator[tuple[int, str, list[str]]]:
    return zip(*unpack_body(chunk.body), strict=True)


def _preview(renderer: Renderer, row: int, phone: str, values: list[str]) -> Preview:
    try:
        text = fit_text(renderer, values)
    except Unfit as unfit:
        return Preview(row, phone, None, Reason(unfit.reason).name.lower(), unfit.detail)
    facts = analyse(text)
    return Preview(row, phone, text, "", "", len(text), facts.encoding, facts.segment_count, facts.units_left)
