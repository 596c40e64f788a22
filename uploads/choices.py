"""States of an upload and reasons why a row is refused."""

from django.db.models import TextChoices


class UploadStatus(TextChoices):
    UPLOADED = "uploaded", "Uploaded"
    PROCESSING = "processing", "Processing"
    READY = "ready", "Ready"
    FAILED = "failed", "Failed"
    RETIRED = "retired", "Retired"


class AudienceSource(TextChoices):
    UPLOAD = "upload", "Uploaded file"
    REQUEST = "request", "Numbers in a request"
    RESEND = "resend", "Messages of an earlier campaign"
    CONTACTS = "contacts", "Contact list"
    EMPTY = "empty", "Nobody yet"


class RowReason(TextChoices):
    """Why a row of a file, or a number of a request, is no recipient."""

    EMPTY_ROW = "empty_row", "The row is empty"
    NO_NUMBER = "no_number", "The row has no phone number"
    NOT_A_NUMBER = "not_a_number", "This is not a phone number"
    INVALID_NUMBER = "invalid_number", "No such number exists in the numbering plan"
    NOT_MOBILE = "not_mobile", "A landline or service number cannot receive an SMS"
    DUPLICATE = "duplicate", "The same number stands in an earlier row"
    UNCLOSED_QUOTE = "unclosed_quote", "A quote is opened and never closed"
    MALFORMED_ROW = "malformed_row", "The row is not valid CSV"
    TOO_LONG = "too_long", "The line is longer than 64 KiB"
    CELL_TOO_LONG = "cell_too_long", "A cell is longer than 2,000 characters"
    TOO_MANY_COLUMNS = "too_many_columns", "The row has more cells than 100"
    EXTRA_CELLS = "extra_cells", "The row has more cells than the header"
    BAD_CHARACTERS = "bad_characters", "The row has characters that no text may contain"
