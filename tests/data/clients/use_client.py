"""What a customer's program does with a client that openapi-python-client has made: send, list, read an error."""

import json
import os

from smsapp_client import AuthenticatedClient
from smsapp_client.api.messages import messages_list
from smsapp_client.api.sms import sms_send
from smsapp_client.models import (
    CampaignPausedEvent,
    ErrorEnvelope,
    MessagePageEnvelope,
    MessageStatusEvent,
    SendAnswerEnvelope,
    SendRequest,
)
from smsapp_client.types import Unset


def told(event: MessageStatusEvent | CampaignPausedEvent) -> list[str]:
    """An event's type says what its data are."""
    if event.type_ == "message.status":
        return [f"{one.message_id}: {one.status.value}" for one in event.data.messages]
    return [event.data.status.value]


client = AuthenticatedClient(
    base_url=os.environ["API"], token=os.environ["KEY"], prefix="", auth_header_name="X-API-Key"
)
sent = sms_send.sync(client=client, body=SendRequest(message="Hello", phone_numbers=[os.environ["PHONE"]]))
assert isinstance(sent, SendAnswerEnvelope)
listed = messages_list.sync(client=client, bulk_id=sent.data.bulk_id)
assert isinstance(listed, MessagePageEnvelope)
refused = sms_send.sync(client=client, body=SendRequest(message="Hello", phone_numbers=["invalid-number"]))
assert isinstance(refused, ErrorEnvelope)
problems = refused.error.details.errors
assert not isinstance(problems, Unset)
event = MessageStatusEvent.from_dict(json.loads(os.environ["EVENT"]))
print(
    json.dumps(
        {
            "sent": [one.message_id for one in sent.data.messages],
            "status": sent.data.messages[0].status.value,
            "listed": [one.message_id for one in listed.data.results],
            "next": listed.data.next_,
            "code": refused.error.code,
            "problems": [[one.field, one.code] for one in problems],
            "told": told(event),
        }
    )
)
