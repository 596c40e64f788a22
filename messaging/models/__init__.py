"""Sending it: by which roads messages leave, in which batches and calls, and what came back."""

from messaging.models.gateways import Gateway, ProviderReference, Route, RouteHealth
from messaging.models.inbound import InboundMessage
from messaging.models.reports import DeliveryReport, ReportInbox, StatDelta
from messaging.models.sending import Attempt, Batch, Message, RefusalRow

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
