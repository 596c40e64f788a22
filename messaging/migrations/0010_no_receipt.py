"""What the operator took and never reported, and what the provider took and refused, which is not charged any more.

Messages that a provider refused for our account's sake were charged until now: their segments are taken back, and the
next settlement refunds them.
"""

from collections import Counter
from typing import Any

from django.db import migrations, models
from django.db.models import F

from messaging.migrations._view import drop_view, make_view

UNDELIVERED = 6
BATCH_SHIFT = 10  # a message's number is its batch's, and its place there


def take_segments_back(apps: Any, schema_editor: Any) -> None:
    reports, messages, batches, deltas = (
        apps.get_model("messaging", name) for name in ("DeliveryReport", "Message", "Batch", "StatDelta")
    )
    refused = reports.objects.filter(source="refusal").values("message_id")
    segments: Counter[int] = Counter()
    for number, count in messages.objects.filter(pk__in=refused, status=UNDELIVERED).values_list("pk", "segment_count"):
        segments[number >> BATCH_SHIFT] += count
    for batch_id, count in sorted(segments.items()):
        batches.objects.filter(pk=batch_id).update(segments=F("segments") - count)
        deltas.objects.create(batch_id=batch_id, segments=-count)


class Migration(migrations.Migration):
    dependencies = [("messaging", "0009_columns_start_on_the_clock_of_the_database")]

    operations = [
        drop_view(),
        migrations.AlterField(
            model_name="deliveryreport",
            name="reason",
            field=models.CharField(
                blank=True,
                choices=[
                    ("", "—"),
                    ("missing_value", "A value for a placeholder is missing in the row"),
                    ("text_too_long", "With its values filled in, the text is longer than 1,600 characters"),
                    ("empty_text", "With its values filled in, the text is empty"),
                    ("opted_out", "The recipient has opted out"),
                    ("country_blocked", "The account may not send to this country"),
                    ("too_often", "The recipient got as many messages as one may get for now"),
                    ("no_route", "No gateway is set up for this destination"),
                    ("too_late", "It could not be handed over before its validity ended"),
                    ("cancelled", "The campaign was cancelled"),
                    ("poison", "Processing broke off repeatedly; an operator has to look at it"),
                    ("recipient_refused", "The provider refuses this recipient"),
                    ("sender_refused", "The provider refuses this sender"),
                    ("content_refused", "The provider or operator refuses this content"),
                    ("provider_refused", "The provider refused the message"),
                    ("unreachable", "The handset could not be reached in time"),
                    ("unknown_number", "The number is not in service"),
                    ("not_delivered", "The operator could not deliver it"),
                    ("answer_lost", "The provider's answer was lost; it is being looked up"),
                    ("no_proof", "It is not known whether the provider took it; it was not sent again"),
                    ("no_report", "The provider took it and never reported the outcome"),
                    ("no_receipt", "The operator took it; whether the phone got it was not reported"),
                ],
                default="",
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="deliveryreport",
            name="source",
            field=models.CharField(
                choices=[
                    ("answer", "Answer to our call"),
                    ("push", "Pushed delivery report"),
                    ("poll", "Polled delivery report"),
                    ("lookup", "Look-up at the provider"),
                    ("refusal", "Refusal of what the provider had taken"),
                    ("deadline", "Deadline passed"),
                    ("decision", "Our own decision"),
                ],
                max_length=8,
            ),
        ),
        migrations.AlterField(
            model_name="message",
            name="reason",
            field=models.CharField(
                blank=True,
                choices=[
                    ("", "—"),
                    ("missing_value", "A value for a placeholder is missing in the row"),
                    ("text_too_long", "With its values filled in, the text is longer than 1,600 characters"),
                    ("empty_text", "With its values filled in, the text is empty"),
                    ("opted_out", "The recipient has opted out"),
                    ("country_blocked", "The account may not send to this country"),
                    ("too_often", "The recipient got as many messages as one may get for now"),
                    ("no_route", "No gateway is set up for this destination"),
                    ("too_late", "It could not be handed over before its validity ended"),
                    ("cancelled", "The campaign was cancelled"),
                    ("poison", "Processing broke off repeatedly; an operator has to look at it"),
                    ("recipient_refused", "The provider refuses this recipient"),
                    ("sender_refused", "The provider refuses this sender"),
                    ("content_refused", "The provider or operator refuses this content"),
                    ("provider_refused", "The provider refused the message"),
                    ("unreachable", "The handset could not be reached in time"),
                    ("unknown_number", "The number is not in service"),
                    ("not_delivered", "The operator could not deliver it"),
                    ("answer_lost", "The provider's answer was lost; it is being looked up"),
                    ("no_proof", "It is not known whether the provider took it; it was not sent again"),
                    ("no_report", "The provider took it and never reported the outcome"),
                    ("no_receipt", "The operator took it; whether the phone got it was not reported"),
                ],
                default="",
                help_text="Why it ended so; of one that is sent: how far it is known to have come.",
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="reportinbox",
            name="source",
            field=models.CharField(
                choices=[
                    ("answer", "Answer to our call"),
                    ("push", "Pushed delivery report"),
                    ("poll", "Polled delivery report"),
                    ("lookup", "Look-up at the provider"),
                    ("refusal", "Refusal of what the provider had taken"),
                    ("deadline", "Deadline passed"),
                    ("decision", "Our own decision"),
                ],
                max_length=8,
            ),
        ),
        migrations.RunPython(take_segments_back, migrations.RunPython.noop),
        make_view(),
    ]
