"""`python -m tests.benchmarks.ordinary COMMAND FILE ROWS`: prints seconds as JSON.

prepare   make the tables
path      file -> saved rows and queued tasks -> all accepted -> a task for each report -> all applied
import    file -> rows, by bulk_create(1000): what an import is compared with
reports   reports applied in this process, one transaction each, after an import
"""

import csv
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator

import phonenumbers
from django.db import connection

from tests.benchmarks.ordinary.tasks import Campaign, DeliveryReport, Message, report, send

PAUSE = 0.02  # seconds between two looks at a counter
TEXT = "Hi {name}, your order {order} over {amount} EUR is on its way to {city}. DemoShop"


def rows_of(path: str, limit: int) -> Iterator[tuple[str, str]]:
    """(number, text) of the first `limit` good rows, as one reads a file of customers without further thought."""
    seen: set[str] = set()
    with open(path, encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file, delimiter=";"):
            try:
                number = phonenumbers.parse(row["phone"], "DE")
            except phonenumbers.NumberParseException:
                continue
            if not phonenumbers.is_valid_number(number):
                continue
            e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
            if e164 not in seen:
                seen.add(e164)
                yield e164, TEXT.format(**row)
                if len(seen) == limit:
                    return


def prepare() -> dict[str, float]:
    with connection.schema_editor() as editor:
        for model in (Campaign, Message, DeliveryReport):
            editor.create_model(model)
    return {}


def path(file: str, count: int) -> dict[str, float]:
    campaign = Campaign.objects.create(text=TEXT)
    began, used = time.monotonic(), time.process_time()
    ids = []
    for number, text in rows_of(file, count):
        message = Message(campaign=campaign, phone_number=number, text=text)
        message.save()
        send.delay(message.pk)
        ids.append(str(message.message_id))
    accepted = _until(lambda: Campaign.objects.get(pk=campaign.pk).accepted == len(ids)) - began
    began = time.monotonic()
    for message_id in ids:
        report.delay(message_id, "delivered")
    reported = _until(lambda: Campaign.objects.get(pk=campaign.pk).delivered == len(ids)) - began
    return {"count": len(ids), "accepted": accepted, "reported": reported, "cpu": time.process_time() - used}


def bulk_import(file: str, count: int) -> dict[str, float]:
    campaign = Campaign.objects.create(text=TEXT)
    began, stored = time.monotonic(), 0
    rows = rows_of(file, count)
    while some := list(itertools.islice(rows, 1000)):
        Message.objects.bulk_create([Message(campaign=campaign, phone_number=to, text=text) for to, text in some])
        stored += len(some)
    return {"count": stored, "seconds": time.monotonic() - began}


def reports(file: str, count: int) -> dict[str, float]:
    bulk_import(file, count)
    ids = list(Message.objects.order_by("-pk").values_list("message_id", flat=True)[:count])
    began = time.monotonic()
    for message_id in ids:
        report(str(message_id), "delivered")
    return {"count": len(ids), "seconds": time.monotonic() - began}


def _until(condition: Callable[[], bool]) -> float:
    while not condition():
        time.sleep(PAUSE)
    return time.monotonic()


COMMANDS = {"path": path, "import": bulk_import, "reports": reports}

if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    result = prepare() if name == "prepare" else COMMANDS[name](arguments[0], int(arguments[1]))
    print(json.dumps(result))
