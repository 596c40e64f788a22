"""Files, the audiences read from them, and numbers that are never texted."""

from django.conf import settings
from django.db import models

from accounts.models import Account
from smsapp.core.sentences import SentenceField
from uploads.choices import AudienceSource, OptOutSource, UploadStatus
from uploads.querysets import UploadQuerySet


class Audience(models.Model):
    """A closed list of recipients in chunks, from an upload, a request or a contact list.

    A campaign holds an Audience and never a file, so any worker on any machine can expand it. Reading a file again with
    other columns makes a new Audience.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    source = models.CharField(max_length=8, choices=AudienceSource)
    name = models.CharField(
        max_length=120,
        blank=True,
        default="",
        db_default="",
        help_text="Of the contact list that it is a snapshot of, as it was called then.",
    )
    columns = models.JSONField(default=list, help_text="Names of the variables every recipient carries, in order.")
    chunk_count = models.PositiveIntegerField(default=0)
    recipient_count = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.recipient_count} recipients ({self.source})"


class AudienceChunk(models.Model):
    """Up to `CHUNK_SIZE` recipients of an audience, packed in order, with the rejected rows between them.

    `body` and `refused` are packed by `uploads/chunks.py`. Chunks are committed one by one while the file is read, so
    that reading resumes after a kill at the last chunk.
    """

    audience = models.ForeignKey(Audience, on_delete=models.CASCADE, related_name="chunks")
    number = models.PositiveIntegerField(help_text="0, 1, 2 … in the order of the file.")
    body = models.BinaryField()
    refused = models.BinaryField()
    good_count = models.PositiveIntegerField()
    bad_count = models.PositiveIntegerField()
    last_row = models.PositiveIntegerField(help_text="Number of the last row that went into this chunk.")
    checksum = models.CharField(max_length=64, help_text="SHA-256 of body; what an approval is bound to.")
    prefix_counts = models.JSONField(default=dict, help_text="Recipients by the first four digits of their numbers.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["audience", "number"], name="audience_chunk_number_once"),
        ]
        ordering = ["audience", "number"]

    def __str__(self) -> str:
        return f"chunk {self.number} of audience {self.audience_id}"


class Upload(models.Model):
    """A file of recipients: kept until it has been read, and a while longer."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="uploads")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="uploads")
    upload_id = models.CharField(max_length=40, unique=True)
    filename = models.CharField(max_length=80, help_text="Our own name on disk; never the customer's.")
    original_filename = models.CharField(max_length=200)
    file_size = models.PositiveBigIntegerField(help_text="Bytes.")
    checksum = models.CharField(max_length=64, help_text="SHA-256 of the file.")
    status = models.CharField(max_length=10, choices=UploadStatus, default=UploadStatus.UPLOADED)
    failure_reason = SentenceField(max_length=300, blank=True)
    uploaded_at = models.DateTimeField(auto_now_add=True)
    processed_at = models.DateTimeField(null=True, blank=True)
    file_removed_at = models.DateTimeField(null=True, blank=True)

    wanted = models.JSONField(
        default=dict, help_text="Of a workbook that is not read yet: what its uploader says of it."
    )

    # How the file is read: guessed at acceptance, of a workbook by its reader; frozen with the first chunk.
    encoding = models.CharField(max_length=20, blank=True)
    delimiter = models.CharField(max_length=1, blank=True, help_text="Empty: one number a line.")
    has_header = models.BooleanField(default=False)
    columns = models.JSONField(default=list, help_text="Column names, from the header or column_1, column_2 …")
    phone_column = models.PositiveSmallIntegerField(default=0)
    country = models.CharField(max_length=2, help_text="Country of numbers in national format.")

    # What was read so far: moved in the transaction of each chunk.
    audience = models.OneToOneField(Audience, on_delete=models.SET_NULL, null=True, related_name="upload")
    bytes_read = models.PositiveBigIntegerField(default=0)
    row_count = models.PositiveIntegerField(default=0, help_text="All rows, without the header.")
    phone_count = models.PositiveIntegerField(default=0, help_text="Rows that became recipients.")
    invalid_count = models.PositiveIntegerField(default=0)
    duplicate_count = models.PositiveIntegerField(default=0)

    # Who reads it now.
    lease_owner = models.CharField(max_length=80, blank=True)
    lease_epoch = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)

    objects = UploadQuerySet.as_manager()

    class Meta:
        db_table = "file_uploads"
        constraints = [
            models.CheckConstraint(condition=models.Q(status__in=UploadStatus.values), name="upload_status_known"),
        ]
        indexes = [
            models.Index(fields=["account", "-id"], name="upload_list"),  # the customer's list, newest first
            models.Index(fields=["status", "lease_until"], name="upload_work"),  # what waits to be read
        ]

    def __str__(self) -> str:
        return self.original_filename


class Suppression(models.Model):
    """A number this account must never text, as a keyed hash: it outlives the erasure of the number itself."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="suppressions")
    phone_hash = models.CharField(max_length=32, help_text="Keyed hash of the E.164 number; its key never rotates.")
    phone_hint = models.CharField(max_length=8, blank=True, help_text="Last two digits, for a person to recognise.")
    reason = models.CharField(max_length=200, blank=True)
    source = models.CharField(max_length=8, choices=OptOutSource, default=OptOutSource.PERSON)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "phone_hash"], name="suppression_once_per_account"),
        ]

    def __str__(self) -> str:
        return f"…{self.phone_hint}"


class OptOutEvent(models.Model):
    """The ledger of opt-outs and opt-ins: who, when and how. Never edited, and without the number itself."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="opt_out_events")
    phone_hash = models.CharField(max_length=32)
    phone_hint = models.CharField(max_length=8, blank=True)
    is_out = models.BooleanField(help_text="Left; else came back.")
    source = models.CharField(max_length=8, choices=OptOutSource)
    detail = models.CharField(max_length=200, blank=True, help_text="The message, reason or file it came from.")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["account", "phone_hash", "-id"], name="opt_out_ledger")]

    def __str__(self) -> str:
        return f"…{self.phone_hint} {'left' if self.is_out else 'came back'}"


class ContactList(models.Model):
    """People an account texts regularly. A campaign gets a snapshot of it, an Audience."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="contact_lists")
    list_id = models.CharField(max_length=40, unique=True)
    name = models.CharField(max_length=120)
    contact_count = models.PositiveIntegerField(default=0)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "name"], name="contact_list_name_once")]

    def __str__(self) -> str:
        return self.name


class Contact(models.Model):
    """One number in one contact list, with the values that fill placeholders."""

    contact_list = models.ForeignKey(ContactList, on_delete=models.CASCADE, related_name="contacts")
    phone_number = models.CharField(max_length=16)
    values = models.JSONField(default=dict, blank=True, help_text="By placeholder name.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["contact_list", "phone_number"], name="contact_once_per_list")]

    def __str__(self) -> str:
        return self.phone_number
