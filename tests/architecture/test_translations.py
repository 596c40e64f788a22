"""Each catalogue is complete, compiled, and knows every sentence that a customer can read."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import polib
import pytest
from django.conf import settings
from django.utils.translation.template import templatize

from smsapp.core import exceptions

ROOT = Path(settings.BASE_DIR)
APPS = ("smsapp", "accounts", "uploads", "campaigns", "messaging", "reports")
LOCALES = sorted(Path(settings.LOCALE_PATHS[0]).glob("*/LC_MESSAGES/django.po"))
MARKS = {"_": 1, "gettext": 1, "gettext_lazy": 1, "gettext_noop": 1, "ngettext": 2, "ngettext_lazy": 2}
#: What is filled in: Python's `%(name)s`, and braces that a text shows.
FILLED_IN = re.compile(r"%\(\w+\)[sd]|%[sd]|%%|<[^>]+>")
#: Errors that only programs get, and places whose errors only programs and operators read: these are English for all.
OF_THE_API = {
    "ApiKeyExpired",
    "ApiKeyRevoked",
    "AuthenticationRefused",
    "CsrfFailed",
    "IdempotencyInProgress",
    "IdempotencyKeyReused",
    "InsufficientScope",
    "InvalidCursor",
    "InvalidJson",
    "OutcomeUnknown",
    "PayloadTooLarge",
    "ServiceUnavailable",
    "TokenExpired",
}
ENGLISH_PLACES = (
    "/api/",
    "/admin/",
    "/restore/",
    "accounts/access/authentication.py",
    "messaging/routing/preference.py",
    "reports/selectors/delivery_reports.py",
)
_TEMPLATE_CALL = re.compile(r"\b(n?gettext)\(u?('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")")


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for app in APPS:
        for path in (ROOT / app).rglob("*.py"):
            if "migrations" not in path.parts:
                yield path, ast.parse(path.read_text())


def in_python() -> set[str]:
    found = set()
    for _path, module in modules():
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and MARKS.get(getattr(node.func, "id", "")):
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.add(first.value)
    return found


def in_templates() -> set[str]:
    found = set()
    for path in (ROOT / "templates").rglob("*.html"):
        if "admin" not in path.relative_to(ROOT / "templates").parts:
            calls = _TEMPLATE_CALL.finditer(templatize(path.read_text(), origin=str(path)))
            found |= {ast.literal_eval(call[2]) for call in calls}
    return found


@pytest.mark.parametrize("path", LOCALES, ids=lambda path: path.parts[-3])
def test_every_sentence_is_translated(path: Path) -> None:
    catalogue = polib.pofile(str(path))
    known = {entry.msgid for entry in catalogue}
    assert sorted((in_python() | in_templates()) - known - {""}) == []
    assert [entry.msgid for entry in catalogue if not entry.translated() or entry.obsolete] == []


def test_every_error_that_a_page_may_show_is_marked_for_translation() -> None:
    known = {name: one for name, one in vars(exceptions).items() if isinstance(one, type)}
    errors = {name for name, one in known.items() if issubclass(one, exceptions.SmsappError)} - OF_THE_API
    unmarked = [
        f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}"
        for path, module in modules()
        if not any(place in path.as_posix() for place in ENGLISH_PLACES)
        for node in ast.walk(module)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") in errors
        and node.args
        and isinstance(node.args[0], ast.Constant | ast.JoinedStr)
    ]
    assert unmarked == []


@pytest.mark.parametrize("path", LOCALES, ids=lambda path: path.parts[-3])
def test_translations_fill_in_the_same(path: Path) -> None:
    for entry in polib.pofile(str(path)):
        wanted = sorted(FILLED_IN.findall(entry.msgid_plural or entry.msgid))
        for text in (entry.msgstr_plural or {0: entry.msgstr}).values():
            assert sorted(FILLED_IN.findall(text)) == wanted, entry.msgid


@pytest.mark.parametrize("path", LOCALES, ids=lambda path: path.parts[-3])
def test_what_is_shown_was_compiled_from_it(path: Path) -> None:
    compiled = polib.mofile(str(path.with_suffix(".mo")))
    shown = {entry.msgid: (entry.msgstr, dict(entry.msgstr_plural)) for entry in compiled}
    written = {entry.msgid: (entry.msgstr, dict(entry.msgstr_plural)) for entry in polib.pofile(str(path))}
    assert shown == written


def test_there_is_a_translation() -> None:
    assert [path.parts[-3] for path in LOCALES] == ["de"]
