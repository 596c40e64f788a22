"""Each catalogue is complete, compiled, and knows every sentence that a customer can read."""

import ast
import re
from pathlib import Path

import polib
import pytest
from django.conf import settings
from django.utils.translation.template import templatize

ROOT = Path(settings.BASE_DIR)
APPS = ("smsapp", "accounts", "uploads", "campaigns", "messaging", "reports")
LOCALES = sorted(Path(settings.LOCALE_PATHS[0]).glob("*/LC_MESSAGES/django.po"))
MARKS = {"_": 1, "gettext": 1, "gettext_lazy": 1, "gettext_noop": 1, "ngettext": 2, "ngettext_lazy": 2}
#: What is filled in: Python's `%(name)s`, and braces that a text shows.
FILLED_IN = re.compile(r"%\(\w+\)[sd]|%[sd]|%%|<[^>]+>")
_TEMPLATE_CALL = re.compile(r"\b(n?gettext)\(u?('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")")


def in_python() -> set[str]:
    found = set()
    for path in (path for app in APPS for path in (ROOT / app).rglob("*.py") if "migrations" not in path.parts):
        for node in ast.walk(ast.parse(path.read_text())):
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
