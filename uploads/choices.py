"""States of an upload, and reasons why a row is rejected."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _
from django.utils.translation import override


class UploadStatus(TextChoices):
    UPLOADED = "uploaded", _("Uploaded")
    PROCESSING = "processing", _("Processing")
    READY = "ready", _("Ready")
    FAILED = "failed", _("Failed")
    RETIRED = "retired", _("Retired")


class AudienceSource(TextChoices):
    UPLOAD = "upload", _("Uploaded file")
    REQUEST = "request", _("Numbers in a request")
    RESEND = "resend", _("Messages of an earlier campaign")
    CONTACTS = "contacts", _("Contact list")
    EMPTY = "empty", _("Nobody yet")


class RowReason(TextChoices):
    """Why a row of a file, or a number of a request, is not a recipient."""

    EMPTY_ROW = "empty_row", _("The row is empty")
    NO_NUMBER = "no_number", _("The row has no phone number")
    NOT_A_NUMBER = "not_a_number", _("This is not a phone number")
    INVALID_NUMBER = "invalid_number", _("No such number exists in the numbering plan")
    NOT_MOBILE = "not_mobile", _("A landline or service number cannot receive an SMS")
    DUPLICATE = "duplicate", _("The same number stands in an earlier row")
    UNCLOSED_QUOTE = "unclosed_quote", _("A quote is opened and never closed")
    MALFORMED_ROW = "malformed_row", _("The row is not valid CSV")
    TOO_LONG = "too_long", _("The line is longer than 64 KiB")
    CELL_TOO_LONG = "cell_too_long", _("A cell is longer than 2,000 characters")
    TOO_MANY_COLUMNS = "too_many_columns", _("The row has more cells than 100")
    EXTRA_CELLS = "extra_cells", _("The row has more cells than the header")
    BAD_CHARACTERS = "bad_characters", _("The row has characters that no text may contain")

    @property
    def source(self) -> str:
        """Return the English label, as a sentence keeps it (`smsapp/lib/sentences.py`)."""
        with override("en"):
            return str(self.label)


class OptOutSource(TextChoices):
    KEYWORD = "keyword", _("Reply of the handset")
    PROVIDER = "provider", _("Told by the provider")
    LINK = "link", _("Link in a message")
    API = "api", _("API")
    FILE = "file", _("File")
    PERSON = "person", _("Person")
