"""Examples of the OpenAPI document.

An answer is put together from what each field holds by its name, so that no example is ever missing or out of date; a
failure has a line for each code. One story throughout: a shop sends a spring sale to 1,200 people, and a parcel notice
to one.
"""

from collections.abc import Mapping
from typing import Any

from smsapp.api.openapi.failures import FAILURES

REQUEST_ID = "9b1f6c52-7d2e-4c7a-8f0b-3a5d1e6c2f48"
ANSWERED_AT = "2027-06-17T16:20:23Z"
LATER = "2027-06-17T18:00:00Z"

NULL = {"type": "null"}

Schema = Mapping[str, Any]


def failure_example(code: str) -> dict[str, Any]:
    message, details = FAILURES[code]
    error = {"code": code, "message": message, "details": details}
    metadata = {"request_id": REQUEST_ID, "duration_ms": 3}
    return {"success": False, "timestamp": ANSWERED_AT, "data": None, "error": error, "metadata": metadata}


#: What fields hold, by name, or by component and name where a name holds several things.
VALUES: dict[str, Any] = {
    "access_token": "eyJhbGciOiJIUzI1NiIs…",
    "account_id": "8f14e45fce",
    "added": 990,
    "allowed_networks": ["203.0.113.0/24"],
    "amount": "-0.090000",
    "api_key": "sms_test_9qk2m4x7w1ab_2fJ…",
    "approval_hash": None,
    "approval_requested_by": None,
    "approved_at": None,
    "approved_by": None,
    "attempt_count": 1,
    "balance": "412.340000",
    "balance_after": "304.520000",
    "broker": "ok",
    "bulk_id": "bulk-3f1c09a27d5e4b86a1c2",
    "callback_url": None,
    "canary_due_at": None,
    "canary_floor_percent": 80,
    "canary_percent": None,
    "canary_size": None,
    "canary_status": None,
    "canary_wait_seconds": 900,
    "changed": 12,
    "client_reference": "spring-sale",
    "closed_at": None,
    "columns": ["phone", "first_name"],
    "completed_at": None,
    "contact_count": 1002,
    "counted_at": "2027-06-17T16:21:02.118204Z",
    "country": "DE",
    "created_at": "2027-06-17T16:20:23.402417Z",
    "credit_after": "498.250000",
    "currency": "EUR",
    "daily_limit": None,
    "database": "ok",
    "day": "2027-06-17",
    "decided_at": "2027-06-17T17:02:11.310500Z",
    "delimiter": ";",
    "delivered_at": "2027-06-17T16:20:26.901000Z",
    "description": "Order system",
    "detail": None,
    "disabled_at": None,
    "disabled_reason": None,
    "done_at": "2027-06-17T16:20:26.901000Z",
    "due_at": None,
    "duplicate": 4,
    "duplicate_count": 4,
    "duration_ms": 150,
    "duration_seconds": 40,
    "encoding": "gsm7",
    "endpoint": "/api/v1/sms/send",
    "endpoint_id": "we_4be29c0d2a71f0c9d3a1",
    "ends_at": None,
    "entry_id": "led-5d1e6c2f480b3a97",
    "error": None,
    "error_code": None,
    "error_description": None,
    "error_message": None,
    "event": "message.delivered",
    "event_id": "evt_9d3a1c2b7e556f1d0c0e4a41",
    "event_type": "message.status",
    "event_types": ["message.delivered", "message.undelivered"],
    "expires_at": None,
    "expires_in": 600,
    "failed": 0,
    "failed_count": 24,
    "failing_since": None,
    "failure_count": 0,
    "failure_reason": None,
    "file_size": 48213,
    "filename": "spring.csv",
    "gsm7": 1180,
    "has_header": True,
    "hold_reason": None,
    "http_status": 200,
    "inbound_id": "in-3f1c09a27d5e4b86a1c2",
    "input": "0151 12345678",
    "invalid": 6,
    "invalid_count": 6,
    "invisible_characters": [],
    "ip_address": "203.0.113.7",
    "is_active": True,
    "is_final": True,
    "is_usable": True,
    "key_id": "9qk2m4x7w1ab",
    "keyword": None,
    "kind": "bulk",
    "label": "Provider's status",
    "last_http_status": 200,
    "last_run_at": "2027-06-14T07:00:00Z",
    "last_used_at": "2027-06-17T16:20:00Z",
    "length": 52,
    "limit": "50.000000",
    "list_id": "lst-3f1c09a27d5e4b86a1c2",
    "low_balance_threshold": "50.000000",
    "made_by": "anna@example.com",
    "message": "Hello Anna, our sale begins on Friday.",
    "message_count": 1201,
    "message_id": "k3x9a0000000g4015",
    "metered": True,
    "method": "POST",
    "mode": "live",
    "moments": ["2027-06-21T07:00:00Z", "2027-06-24T07:00:00Z"],
    "name": "Spring sale",
    "needs_approval": False,
    "next": None,
    "next_attempt_at": None,
    "next_run_at": "2027-06-21T07:00:00Z",
    "no_text": 0,
    "note": None,
    "occurred_at": "2027-06-17T16:20:26.901Z",
    "old_secret_until": None,
    "on_their_way": 3,
    "opted_out": 2,
    "pause_reason": None,
    "percent": 80,
    "phone_column": "phone",
    "phone_count": 1200,
    "phone_hint": "78",
    "phone_number": "+4915112345678",
    "placeholders": ["first_name"],
    "previous_status": "SENT",
    "price": "0.090000",
    "problem": None,
    "processed_at": "2027-06-17T16:19:44.120331Z",
    "progress": 1.0,
    "provider_status": "DELIVERED_TO_HANDSET",
    "quiet_count": 0,
    "quiet_ends_at": None,
    "quiet_from": None,
    "quiet_until": None,
    "rate_limit": None,
    "reason": None,
    "received_at": "2027-06-17T16:20:27.310114Z",
    "recipient": "+4915735980000",
    "recipients": 1200,
    "recipients_from": "upload",
    "recurring_id": None,
    "refresh_expires_at": "2027-07-17T16:20:23Z",
    "refresh_token": "eyJhbGciOiJIUzI1NiIs…",
    "refused": [],
    "refused_count": 0,
    "removed_count": 12,
    "replaced_by_key_id": None,
    "replayed": 3,
    "reply_to_message_id": "k3x9a0000000g4015",
    "request_id": REQUEST_ID,
    "request_size": 118,
    "resend_of_bulk_id": None,
    "reserved": "107.820000",
    "response": None,
    "response_size": 412,
    "response_time_ms": 19,
    "revoked": True,
    "revoked_at": None,
    "role": "sender",
    "row": 2,
    "row_count": 1210,
    "rule": "0 9 * * 1,4",
    "run_count": 12,
    "schedule_time": LATER,
    "scopes": ["messages:send", "messages:read"],
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "segments": 1,
    "sender_id": "DemoShop",
    "sending": "on",
    "sent_at": "2027-06-17T16:20:24.018000Z",
    "sequence": 5,
    "show_numbers": False,
    "slow_until": None,
    "source": "keyword",
    "spent": "40.140000",
    "started_at": "2027-06-17T16:20:24.001240Z",
    "status_code": 202,
    "status_detail": None,
    "successful": 1,
    "successful_count": 1150,
    "template_id": "tpl-3f1c09a27d5e4b86a1c2",
    "text": "Hello Anna, our sale begins on Friday.",
    "timestamp": ANSWERED_AT,
    "timezone": "Europe/Berlin",
    "title": "Delivered",
    "to": "+4915112345678",
    "token_type": "Bearer",
    "total_recipients": 1200,
    "total_sent": 1,
    "ucs2": 20,
    "unicode_characters": [],
    "units": 52,
    "units_left": 108,
    "updated_at": "2027-06-17T16:20:23.402417Z",
    "upload_id": "upl-k3v7q2m5x4wz6abc",
    "uploaded_at": "2027-06-17T16:19:41.800215Z",
    "url": "https://your-app.com/webhook",
    "used_today": 1201,
    "user_agent": "python-requests/2.34",
    "valid": True,
    "valid_minutes": 240,
    "valid_until": None,
    "value": "DELIVRD",
    "values": {"first_name": "Anna"},
    "version": "1.0.0",
    "waiting": 0,
    "workers": "ok",
    # a campaign that runs
    "CampaignStatus": "RUNNING",
    "StatusCounts.pending": 14,
    "StatusCounts.sent": 12,
    "StatusCounts.unknown": 0,
    "StatusCounts.delivered": 1150,
    "StatusCounts.undelivered": 20,
    "StatusCounts.rejected": 1,
    "StatusCounts.failed": 1,
    "StatusCounts.expired": 0,
    "StatusCounts.cancelled": 0,
    "StatusCounts.suppressed": 2,
    "StatusCounts.unconfirmed": 0,
    "CampaignStartedEvent.data.status": "RUNNING",
    # other statuses
    "MessageStatus": "DELIVERED",
    "SentMessage.status": "PENDING",
    "SentMessage.is_final": False,
    "RecurringStatus": "ACTIVE",
    "UploadStatus": "READY",
    "SenderStatus": "APPROVED",
    "DeliveryStatus": "DELIVERED",
    "HealthStatus": "OK",
    "LiveStatus": "OK",
    "CampaignCompletedEvent.data.status": "COMPLETED",
    # names that hold several things
    "Contact.values": {"first_name": "Anna"},
    "CountryCount.price": "107.820000",
    "CountryCount.segments": 1198,
    "CountryCount.recipients": 1198,
    "DayUsage.segments": 1187,
    "EndpointDisabledData.disabled_reason": "It answered 410 Gone.",
    "AccountHeldData.hold_reason": "It reached its limit of 50.000000 EUR a day.",
    "Inbound.text": "When do you open?",
    "InboundReceivedData.text": "STOP",
    "InboundReceivedData.keyword": "STOP",
    "LedgerEntry.kind": "charge",
    "LedgerEntry.note": "1 segment",
    "LongestText.row": 17,
    "LongestText.segments": 2,
    "LongestText.length": 171,
    "LookedUpNumber.message": None,
    "LookedUpNumber.opted_out": False,
    "OptoutReceivedData.detail": "STOP",
    "Recurring.list_id": "lst-3f1c09a27d5e4b86a1c2",
    "Recurring.name": "Reminder",
    "Recurring.message": "Hello {first_name|there}, see you soon.",
    "Recurring.recurring_id": "rec-3f1c09a27d5e4b86a1c2",
    "ReceiptAnswer.price": "107.820000",
    "ReceiptAnswer.segments": 1198,
    "ReceiptAnswer.warnings": [],
    "RefusedRow.reason": "invalid_number",
    "RefusedRow.message": "No such number exists in the numbering plan",
    "RefusedRow.value": "+49 12",
    "RefusedRow.row": 5,
    "RemovedCount.opted_out": 2,
    "Sender.kind": "alphanumeric",
    "SendAnswer.client_reference": "order-4711",
    "MessageStatusData.client_reference": "order-4711",
    "StoppedAnswer.status": "PAUSED",
    "StoppedAnswer.pause_reason": "by_user",
    "Suppression.note": "By phone",
    "Template.message": "Hello {first_name|there}, see you at {time}.",
    "Template.name": "Reminder",
    "Template.placeholders": ["time"],
    "TimelineStep.title": "Delivered",
    "Webhook.kind": "endpoint",
    "NewWebhook.kind": "endpoint",
    "ApiKey.name": "Shop backend",
    "NewApiKey.name": "Shop backend",
    "NewApiKey.mode": "test",
    "ContactList.name": "Newsletter",
    "Upload.encoding": "utf-8",
    "CampaignPausedEvent.data.status": "PAUSED",
    "CampaignPausedEvent.data.pause_reason": "no_credit",
    "CampaignCancelledEvent.data.status": "CANCELLED",
    "UploadFailedEvent.data.status": "FAILED",
    "UploadFailedEvent.data.failure_reason": "No row has a phone number.",
    "BulkAnswer.status": "DRAFT",
    "BulkAnswer.messages_by_status.delivered": 0,
}


def success_example(data: Schema, schemas: Mapping[str, Schema]) -> dict[str, Any]:
    metadata = {"request_id": REQUEST_ID, "duration_ms": 150}
    shown = example_of(data, schemas)
    return {"success": True, "timestamp": ANSWERED_AT, "data": shown, "error": None, "metadata": metadata}


def example_of(schema: Schema, schemas: Mapping[str, Schema], owners: tuple[str, ...] = (), name: str = "") -> Any:
    """Put an example of a schema together; raises KeyError for a field without a value.

    `owners`: what it is part of, by the names of components and the way to it, the most telling first.
    """
    component = _component_of(schema)
    inner = schemas[component] if component else schema
    is_object = "properties" in inner
    paths = [f"{owner}.{name}" for owner in owners]
    for known in [*paths, *([] if is_object else [name, component])]:
        if known in VALUES:
            return VALUES[known]
    if "const" in inner:
        return inner["const"]
    if parts := [part for word in ("oneOf", "anyOf") for part in inner.get(word, ()) if part != NULL]:
        return example_of(parts[0], schemas, owners, name)
    if inner.get("type") == "array":
        return [example_of(inner["items"], schemas)]
    if is_object:
        within = (*paths, component) if component else (*paths,)
        return {name: example_of(part, schemas, within, name) for name, part in inner["properties"].items()}
    raise KeyError(f"no example of {paths or name}")


def _component_of(schema: Schema) -> str:
    """Return the name of the component that a schema refers to, whether it may be null or not."""
    parts = [schema, *schema.get("allOf", ()), *(part for part in schema.get("oneOf", ()) if part != NULL)]
    found = [part["$ref"] for part in parts if "$ref" in part]
    return found[0].rpartition("/")[2] if len(found) == 1 else ""
