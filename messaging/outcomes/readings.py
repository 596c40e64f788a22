"""Bodies of delivery reports, parsed by their gateways, with our ids in them, and as facts."""

import logging
from collections.abc import Sequence
from itertools import groupby, islice
from operator import attrgetter
from typing import NamedTuple

from django.core.exceptions import ImproperlyConfigured

from messaging.choices import FactSource
from messaging.gateways import registry
from messaging.gateways.base import Gateway, Report
from messaging.models import ReportInbox
from messaging.outcomes import provider_ids, settlement

logger = logging.getLogger(__name__)

_of_gateway = attrgetter("gateway")


class Reading(NamedTuple):
    """What a body says. `foreign_count`: reports on ids that are not ours. `error`: why it cannot be read, or empty."""

    body: ReportInbox
    reports: Sequence[Report]
    facts: Sequence[settlement.Fact]
    foreign_count: int
    error: str = ""


def read(bodies: Sequence[ReportInbox]) -> list[Reading]:
    """Read bodies, those of a gateway together.

    The owners of their ids are queried once, however many bodies there are. A body that cannot be read harms no other.
    """
    among = groupby(sorted(bodies, key=_of_gateway), _of_gateway)
    return [reading for name, of_gateway in among for reading in _read(name, list(of_gateway))]


def _read(name: str, bodies: Sequence[ReportInbox]) -> list[Reading]:
    parsed = _parse(name, bodies)
    theirs = [report for reports, _ in parsed for report in reports]
    ours = iter(provider_ids.only_of(name, provider_ids.with_our_ids(name, theirs)))
    found = []
    for body, (reports, error) in zip(bodies, parsed, strict=True):
        own = list(islice(ours, len(reports)))
        found.append(Reading(body, own, *settlement.facts_from(own, FactSource(body.source)), error))
    return found


def _parse(name: str, bodies: Sequence[ReportInbox]) -> list[tuple[Sequence[Report], str]]:
    """Return the reports of each body, or why there are none."""
    try:
        gateway = registry.get(name)
    except (LookupError, ImproperlyConfigured) as error:
        logger.error("%s report bodies of gateway %s cannot be read: %s", len(bodies), name, error)
        return [((), str(error))] * len(bodies)
    return [_parse_one(gateway, body) for body in bodies]


def _parse_one(gateway: Gateway, body: ReportInbox) -> tuple[Sequence[Report], str]:
    try:
        return gateway.parse_reports(bytes(body.body)), ""
    except (ValueError, LookupError) as error:
        logger.exception("report body %s cannot be read", body.pk)
        return (), str(error)
