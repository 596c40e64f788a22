"""What makes a password too easy to guess, beside Django's own rules."""

from itertools import pairwise

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.models import User

MIN_DIFFERENT = 5  # characters


class PredictableValidator:
    """Refuses few different characters, and characters that follow one another as in abcdefghijkl or 2468…"""

    def validate(self, password: str, user: User | None = None) -> None:
        steps = {ord(second) - ord(first) for first, second in pairwise(password)}
        if len(set(password.lower())) < MIN_DIFFERENT or len(steps) == 1:
            raise ValidationError(self.get_help_text(), code="password_predictable")

    def get_help_text(self) -> str:
        return _("Your password can’t be a sequence, or of fewer than five different characters.")
