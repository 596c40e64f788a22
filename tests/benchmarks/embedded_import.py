"""`python -m tests.benchmarks.embedded_import prepare | FILE`: a file becomes messages in this process, as in a worker.

Prints seconds, from the upload to the last message stored, as JSON. No broker: what would be woken is called.
"""

import json
import os
import sys
import time
from pathlib import Path

import django

django.setup()

from django.core.files.uploadedfile import SimpleUploadedFile  # noqa: E402
from django.core.management import call_command  # noqa: E402

from accounts.models import SenderId, User  # noqa: E402
from campaigns.choices import CampaignKind  # noqa: E402
from campaigns.services import create_campaign  # noqa: E402
from campaigns.validation import CampaignRequest  # noqa: E402
from messaging.sending.expansion import expand_ready  # noqa: E402
from smsapp.celery import collect_garbage_less_often  # noqa: E402
from smsapp.demo.account import ensure_demo_account  # noqa: E402
from smsapp.demo.play import TEXT  # noqa: E402
from uploads.audiences import ready_audience  # noqa: E402
from uploads.files.reading import read_upload  # noqa: E402
from uploads.services import accept_upload  # noqa: E402


def prepare() -> dict[str, float]:
    call_command("migrate", interactive=False, verbosity=0)
    ensure_demo_account()
    return {}


def bring_in(path: Path) -> dict[str, float]:
    sender = SenderId.objects.select_related("account").get()  # not made again: it hashes a password under the lock
    user = User.objects.get()
    file = SimpleUploadedFile(path.name, path.read_bytes(), "text/csv")
    began = time.monotonic()
    upload = accept_upload(sender.account, user, file)
    while not read_upload(upload.pk, f"benchmark:{os.getpid()}"):
        pass
    audience = ready_audience(sender.account, upload.upload_id)
    request = CampaignRequest(CampaignKind.BULK, TEXT, sender_id=sender.value)
    campaign = create_campaign(sender.account, user, request, audience)
    while campaign.waiting:
        expand_ready()
        campaign.refresh_from_db()
    return {"messages": campaign.total_recipients, "seconds": time.monotonic() - began}


if __name__ == "__main__":
    collect_garbage_less_often()  # as a worker's process does
    print(json.dumps(prepare() if sys.argv[1] == "prepare" else bring_in(Path(sys.argv[1]))))
