"""The console's front page."""

from django import template
from django.urls import reverse

from reports.selectors import Notice, attention

register = template.Library()


@register.simple_tag
def notices() -> list[tuple[Notice, str]]:
    """What needs a hand, each with the address of the list that shows it."""
    return [(notice, _address(notice)) for notice in attention()]


def _address(notice: Notice) -> str:
    changelist = notice.model.replace(".", "_") + "_changelist"
    return f"{reverse('admin:' + changelist)}?{notice.query}"
