"""Batches, messages and the calls that carried them; gateways, routes, and what came back."""

from messaging.models.attempt import Attempt, RefusalRow
from messaging.models.batch import Batch
from messaging.models.gateways import Gateway, ProviderReference, Route, RouteHealth
from messaging.models.inbound import InboundMessage
from messaging.models.message import Message
from messaging.models.reports import DeliveryReport, ReportInbox, StatDelta

__all__ = [
    "Attempt",
    "Batch",
    "DeliveryReport",
    "Gateway",
    "InboundMessage",
    "Message",
    "ProviderReference",
    "RefusalRow",
    "ReportInbox",
    "Route",
    "RouteHealth",
    "StatDelta",
]
