"""Columns that hold a sentence (`smsapp/lib/sentences.py`), and its translation into the reader's language.

A `SentenceField` gives a sentence back, so a template shows it in the reader's language. Without parameters the column
holds the source alone, so sentences stored by earlier versions are translated, too. A text that is no source of a
translation, such as what a provider said, stays as it is.
"""

from typing import TYPE_CHECKING, Any

from django.db import models
from django.utils.translation import gettext

from smsapp.lib.sentences import Sentence, as_sentence, read

Sentence.translate = staticmethod(gettext)

if TYPE_CHECKING:
    _TextField = models.CharField[str | Sentence, Sentence]
else:
    _TextField = models.CharField


class SentenceField(_TextField):
    """A text column that holds a sentence. To migrations it is a CharField."""

    def from_db_value(self, value: str | None, *args: object) -> Sentence | None:
        return None if value is None else read(value)

    def to_python(self, value: Any) -> Any:
        return value if value is None or isinstance(value, Sentence) else read(str(value))

    def get_prep_value(self, value: Any) -> Any:
        if value is None or not isinstance(value, str | Sentence):
            return super().get_prep_value(value)
        return as_sentence(value).stored(self.max_length or 300)

    def value_to_string(self, obj: models.Model) -> str:
        return str(self.get_prep_value(self.value_from_object(obj)))

    def deconstruct(self) -> Any:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs
