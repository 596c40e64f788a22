"""What a person wrote at length is given back whenever nothing could be done with it."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy

#: Fields that a person writes at length, by name, with their labels.
WRITTEN = {
    "phone_numbers": gettext_lazy("Phone numbers"),
    "paste-rows": gettext_lazy("Numbers"),
    "name": gettext_lazy("Name"),
    "message": gettext_lazy("Text"),
    "comment": gettext_lazy("Comment"),
}


def written_in(request: HttpRequest) -> list[tuple[Any, str]]:
    """Return the label and the text of each filled-in field of WRITTEN."""
    return [(label, value) for name, label in WRITTEN.items() if (value := str(request.POST.get(name, ""))).strip()]


def give_back(request: HttpRequest, status: int, title: str, words: str, **context: Any) -> HttpResponse:
    """Return a page that says what happened and shows what was written.

    `context`: either `leads_to` and `leads_to_label`, a link, or `again`, names and values of the form that can be sent
    once more, under its own token.
    """
    context |= {"title": title, "words": words, "written": written_in(request)}
    return render(request, "accounts/given_back.html", context, status=status)
