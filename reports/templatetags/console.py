"""The console's front page."""

from collections.abc import Sequence

from django import template
from django.urls import reverse

from messaging.upkeep.state_owners import OWNERS, Owner
from reports.selectors import Notice, attention

register = template.Library()


@register.simple_tag
def notices() -> list[tuple[Notice, str]]:
    """Return the notices that need attention, each with the address of the list that shows it."""
    return [(notice, _address(notice)) for notice in attention()]


@register.simple_tag
def owners() -> Sequence[Owner]:
    return OWNERS


def _address(notice: Notice) -> str:
    if notice.page:
        return reverse(notice.page)
    changelist = notice.model.replace(".", "_") + "_changelist"
    return f"{reverse('admin:' + changelist)}?{notice.query}"
