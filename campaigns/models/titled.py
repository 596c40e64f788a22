"""Titles of campaigns and recurring campaigns."""

from django.utils.text import Truncator
from django.utils.translation import gettext as _

TITLE_LENGTH = 40  # characters of a text


class Titled:
    name: str
    message: str

    @property
    def title(self) -> str:
        """Return the name or the beginning of the text. Never an id: it tells people nothing."""
        return self.name or Truncator(" ".join(self.message.split())).chars(TITLE_LENGTH) or _("Untitled campaign")
