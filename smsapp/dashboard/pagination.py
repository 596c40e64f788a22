"""Keyset pagination for lists of the dashboard: the last page costs as much as the first."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest

LARGEST_ID = 2**62  # a larger number would not fit a column
PAGE = 50
NEWEST = "-pk"


class _Query(forms.Form):
    before = forms.IntegerField(min_value=1, max_value=LARGEST_ID, required=False)
    sort = forms.CharField(max_length=20, required=False)


def page_of(
    request: HttpRequest, found: QuerySet[Any], sorts: Mapping[str, str] | None = None, size: int = PAGE
) -> dict[str, Any]:
    """Return the page that `before` in the query asks for, as partials/pager.html needs it: `rows`, `is_first_page` and
    `next_before`, which is None on the last page.

    `sorts`: allowed values of `sort` in the query, each with its field, which must never be null. By default and among
    equals, the newest come first. Raises Http404 if the query is invalid.
    """
    query = _Query(request.GET)
    if not query.is_valid():
        raise Http404
    before, sort = query.cleaned_data["before"], query.cleaned_data["sort"]
    if sort and sort not in (sorts or {}):
        raise Http404
    order = (sorts or {}).get(sort, NEWEST)
    if before:
        found = found.filter(_after(found, order, before))
    rows = list(found.order_by(order, NEWEST)[: size + 1])
    return {
        "rows": rows[:size],
        "sort": sort,
        "is_first_page": not before,
        "next_before": rows[size - 1].pk if len(rows) > size else None,
    }


def _after(found: QuerySet[Any], order: str, before: int) -> Q:
    """Return the filter for the rows after the one with this key. Raises Http404 if that row no longer exists."""
    if order == NEWEST:
        return Q(pk__lt=before)
    field = order.removeprefix("-")
    last = found.filter(pk=before).values_list(field, flat=True).first()
    if last is None:
        raise Http404
    beyond = "lt" if order.startswith("-") else "gt"
    return Q(**{f"{field}__{beyond}": last}) | Q(**{field: last}, pk__lt=before)
