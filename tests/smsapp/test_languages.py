"""Pages speak the reader's language where there is a translation, and all they say can be translated."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client, override_settings
from django.urls import reverse

from accounts.choices import Role
from tests.support.factories import MembershipFactory

#: Without Django's own context they cannot be translated; and the console and API documents are in English.
ENGLISH = ("500.html", "503.html", "admin", "drf_spectacular")
NAMES = {"smsapp", "UTC", "CSV", "HTTP", "ms", "min", "sms_", "webhook-id:"}
TEMPLATE_TAGS = r"{%\s*comment.*?endcomment\s*%}|{%\s*blocktranslate.*?endblocktranslate\s*%}|{#.*?#}|{%.*?%}|{{.*?}}"
SAID_BY_ATTRIBUTES = r'(?:aria-label|title|placeholder|alt)="([^"]*)"'


def said(template: str) -> set[str]:
    """Words that stand in a template as they are."""
    html = re.sub(TEMPLATE_TAGS, " ", template, flags=re.DOTALL)
    texts = [re.sub(r"<[^>]*>", " ", html), *re.findall(SAID_BY_ATTRIBUTES, html)]
    return {word for text in texts for word in re.findall(r"[A-Za-z_-]{2,}:?", text)}


def test_every_word_of_a_page_goes_through_gettext() -> None:
    folder = Path(settings.BASE_DIR) / "templates"
    pages = [page for page in folder.rglob("*.html") if not set(ENGLISH) & set(page.relative_to(folder).parts)]
    bare = {str(page.relative_to(folder)): said(page.read_text()) - NAMES for page in pages}
    assert len(pages) > 70
    assert {page: words for page, words in bare.items() if words} == {}


def test_a_bare_word_is_noticed() -> None:
    assert said('<p title="Hello">{% translate "Fine" %} World</p>') == {"Hello", "World"}


@pytest.mark.django_db
@override_settings(LANGUAGES=[("en", "English"), ("de", "Deutsch")])
def test_pages_are_in_the_language_asked_for_and_the_api_is_in_english(client: Client) -> None:
    client.force_login(MembershipFactory(role=Role.OWNER).user)
    german = {"Accept-Language": "de-AT,de;q=0.9"}
    page = client.get(reverse("send"), headers=german)
    assert '<html lang="de"' in page.content.decode()
    assert "Schließen" in page.content.decode()
    assert '<html lang="en"' in client.get(reverse("send"), headers={"Accept-Language": "fr"}).content.decode()
    answer = client.post("/api/v1/lookup", {}, "application/json", headers=german)
    assert "erforderlich" not in answer.content.decode()
    assert "Content-Language" not in answer.headers
