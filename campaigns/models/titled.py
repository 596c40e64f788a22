"""What people call something that is sent."""

from django.utils.text import Truncator
from django.utils.translation import gettext as _

TITLE_LENGTH = 40  # characters of a text


class Titled:
    name: str
    message: str

    @property
    def title(self) -> str:
        """Its name, or how its text begins: never an id, which says nothing to a person."""
        return self.name or Truncator(" ".join(self.message.split())).chars(TITLE_LENGTH) or _("Untitled campaign")
