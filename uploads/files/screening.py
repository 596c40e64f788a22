"""What an uploaded file may not be or contain.

It is judged by content; the name only has to end in .txt, .csv or .xlsx, and the reader of a workbook checks that it is
one (`spreadsheets.py`). Reads block by block, as the file is copied, and never holds more than a few KiB.
"""

from pathlib import PurePath

from smsapp.core.exceptions import UploadInvalid
from smsapp.lib.sentences import Sentence, gettext_noop
from uploads.files.encodings import wide_encoding

SPREADSHEET = ".xlsx"
SUFFIXES = (".txt", ".csv", SPREADSHEET)

_HEAD = 4096  # bytes; the mark of a tar archive is at 257
_EXECUTABLE = gettext_noop("The file is a program, not a list of numbers.")
_SCRIPT_FILE = gettext_noop("The file is a script, not a list of numbers.")
_ARCHIVE = gettext_noop("The file is an archive. Unpack it and upload the .csv or .txt file inside.")
_SPREADSHEET = gettext_noop("The file is a spreadsheet of another kind than .xlsx. Save it as CSV and upload that.")
_IMAGE = gettext_noop("The file is an image, not a list of numbers.")
_DOCUMENT = gettext_noop("The file is a document, not a list of numbers. Save the numbers as CSV or plain text.")
_MARKUP = gettext_noop("The file is a web page or XML document, not a list of numbers.")
_BINARY = gettext_noop("The file is binary: it has NUL bytes. Save it as CSV or plain text.")
_SCRIPT = gettext_noop("The file contains a script (%(found)s), which no list of numbers needs.")

#: First bytes of files that are not text, and why they are refused.
_SIGNATURES = (
    (b"\x7fELF", _EXECUTABLE),
    (b"\xfe\xed\xfa\xce", _EXECUTABLE),
    (b"\xfe\xed\xfa\xcf", _EXECUTABLE),
    (b"\xce\xfa\xed\xfe", _EXECUTABLE),
    (b"\xcf\xfa\xed\xfe", _EXECUTABLE),
    (b"\xca\xfe\xba\xbe", _EXECUTABLE),
    (b"\x00asm", _EXECUTABLE),
    (b"#!", _SCRIPT_FILE),
    (b"<?php", _SCRIPT_FILE),
    (b"PK\x03\x04", _ARCHIVE),
    (b"PK\x05\x06", _ARCHIVE),
    (b"\x1f\x8b", _ARCHIVE),
    (b"Rar!\x1a\x07", _ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", _ARCHIVE),
    (b"\xfd7zXZ\x00", _ARCHIVE),
    (b"BZh", _ARCHIVE),
    (b"\x28\xb5\x2f\xfd", _ARCHIVE),
    (b"\xd0\xcf\x11\xe0", _SPREADSHEET),
    (b"%PDF-", _DOCUMENT),
    (b"{\\rtf", _DOCUMENT),
    (b"\x89PNG", _IMAGE),
    (b"\xff\xd8\xff", _IMAGE),
    (b"GIF8", _IMAGE),
    (b"<!doctype", _MARKUP),
    (b"<html", _MARKUP),
    (b"<?xml", _MARKUP),
)
_SPREADSHEET_PARTS = (b"[Content_Types].xml", b"xl/", b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet")
_BZIP2_BLOCK = b"1AY&SY"
_ACTIVE = (b"<script", b"javascript:")
# The longest of them minus a byte, in the widest encoding.
_OVERLAP = (max(map(len, _ACTIVE)) - 1) * 4


def check_name(name: str) -> str:
    """Return the suffix of a file's name, in lower case. Raises UploadInvalid unless it is one of SUFFIXES."""
    suffix = PurePath(name).suffix.lower()
    if suffix in SUFFIXES:
        return suffix
    if suffix in (".xls", ".xlsm", ".xlsb", ".ods", ".numbers"):
        raise _refusal(_SPREADSHEET)
    raise _refusal(gettext_noop("Only .csv, .txt and .xlsx files can be uploaded."), name)


class Screening:
    """Feed all blocks of a file, then `finish`; both raise UploadInvalid as soon as something is wrong."""

    def __init__(self) -> None:
        self._head = b""
        self._is_judged = False
        self._is_wide = False
        self._tail = b""

    def feed(self, block: bytes) -> None:
        if self._is_judged:
            self._search(block)
            return
        self._head += block
        if len(self._head) >= _HEAD:
            self._judge()

    def finish(self) -> None:
        if not self._is_judged:
            if not self._head:
                raise _refusal(gettext_noop("The file is empty."))
            self._judge()

    def _judge(self) -> None:
        self._is_judged = True
        check_type(self._head[:_HEAD])
        self._is_wide = bool(wide_encoding(self._head[:_HEAD]))
        head, self._head = self._head, b""
        self._search(head)

    def _search(self, block: bytes) -> None:
        data = self._tail + block
        if b"\0" in block:
            if not self._is_wide:
                raise _refusal(_BINARY)
            text = data.replace(b"\0", b"").lower()
        else:
            text = data.lower()
        for active in _ACTIVE:
            if active in text:
                raise _refusal(Sentence(_SCRIPT, found=active.decode()))
        self._tail = data[-_OVERLAP:]


def check_type(head: bytes) -> None:
    """Raise UploadInvalid if the first bytes of a file show that it is not text."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:16].lower()
    for signature, message in _SIGNATURES:
        if head.startswith(signature) or (signature[:1] in b"<" and start.startswith(signature)):
            if signature == b"BZh" and head[4:10] != _BZIP2_BLOCK:
                continue
            is_spreadsheet = message is _ARCHIVE and any(part in head for part in _SPREADSHEET_PARTS)
            raise _refusal(_SPREADSHEET if is_spreadsheet else message)
    if (head.startswith(b"MZ") and not head[:128].isascii()) or (head.startswith(b"MZ") and b"\0" in head):
        raise _refusal(_EXECUTABLE)
    if head[257:262] == b"ustar":
        raise _refusal(_ARCHIVE)


def _refusal(message: str | Sentence, value: str | None = None) -> UploadInvalid:
    return UploadInvalid(message, field="file", value=value)
