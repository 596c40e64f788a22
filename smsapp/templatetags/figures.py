"""`{{ value|percent }}`: percentages as pages show them."""

from django import template
from django.template.defaultfilters import floatformat

register = template.Library()


@register.filter
def percent(value: float | None, places: int = 1) -> str:
    """Return a percentage, or a dash for None."""
    return "–" if value is None else f"{floatformat(value, places)} %"
