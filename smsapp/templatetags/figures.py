"""`{{ value|percent }}`: figures as the pages write them."""

from django import template
from django.template.defaultfilters import floatformat

register = template.Library()


@register.filter
def percent(value: float | None, places: int = 1) -> str:
    """A dash for what there is no share of."""
    return "–" if value is None else f"{floatformat(value, places)} %"
