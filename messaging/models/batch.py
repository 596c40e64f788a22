"""Messages of one campaign that leave together."""

from django.db import models

from accounts.choices import Mode
from accounts.models import Account
from campaigns.models import Campaign
from campaigns.models.tally import Tally
from messaging.choices import BatchState, Lane
from messaging.querysets import BatchQuerySet
from smsapp.core import clock


class Batch(Tally):
    """Up to 1,000 messages of one campaign that leave together: the unit of lease and of calling.

        held -> ready                     by sweep
        held -> unknown | done            by tally
        ready -> leased                   by worker
        ready -> held                     by sweep
        ready -> unknown | done           by tally
        leased -> ready | unknown | done  by sweep, worker
        unknown -> ready | done           by tally

    A lease is (owner, epoch, lease_until): taken by one conditional update that raises the epoch, so a worker
    that wakes up after its lease has ended finds another epoch and can do nothing. Its row is also the lock
    under which its messages change.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="batches")
    chunk = models.PositiveIntegerField(help_text="Number of the audience chunk it was expanded from.")
    part = models.PositiveSmallIntegerField(help_text="Its place among the batches of that chunk.")
    mode = models.CharField(max_length=4, choices=Mode)
    lane = models.PositiveSmallIntegerField(choices=Lane)
    turn = models.PositiveIntegerField(help_text="Its place in its account's own queue, so that accounts alternate.")
    size = models.PositiveSmallIntegerField()
    gateway = models.CharField(
        max_length=40, blank=True, help_text="Where its messages go, or went last. Empty: nobody has chosen yet."
    )
    prefix = models.CharField(max_length=8, blank=True, help_text="What its numbers begin with, as far as routes tell.")
    is_pinned = models.BooleanField(
        default=False, help_text="Its gateway may have all that is queued: nothing of it may go to another one."
    )
    waits_for_canary = models.BooleanField(
        default=False, help_text="The first recipients of its campaign are tried before."
    )
    was_moved = models.BooleanField(default=False, help_text="From one gateway to another, with messages queued.")
    route_note = models.CharField(max_length=200, blank=True, help_text="Why it goes where it goes.")
    price_micro = models.BigIntegerField(
        default=0, help_text="Of one segment, the same for all of its messages, in millionths. 0: free."
    )
    segments = models.IntegerField(default=0, help_text="Of its messages that a provider took, as far as is known.")
    charged_segments = models.IntegerField(default=0, help_text="Of these, how many the ledger knows.")

    state = models.CharField(max_length=8, choices=BatchState, default=BatchState.READY)
    release_at = models.DateTimeField(null=True, blank=True)
    next_attempt_at = models.DateTimeField(default=clock.about_now)
    retry_count = models.PositiveSmallIntegerField(default=0, help_text="Calls in a row that were not sent.")
    lease_count = models.PositiveSmallIntegerField(default=0, help_text="Leases in a row that ended without a result.")
    lease_owner = models.CharField(max_length=80, blank=True)
    lease_epoch = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    call_size = models.PositiveSmallIntegerField(default=1000, help_text="Messages in its next call, at most.")
    report_check_at = models.DateTimeField(null=True, blank=True, help_text="When missing reports are looked up.")
    report_check_count = models.PositiveSmallIntegerField(default=0)
    report_deadline = models.DateTimeField(null=True, blank=True, help_text="When missing reports are given up.")
    created_at = models.DateTimeField(default=clock.about_now, editable=False)

    objects = BatchQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "batches"
        constraints = [
            models.UniqueConstraint(fields=["campaign", "chunk", "part"], name="batch_expanded_once"),
            models.CheckConstraint(condition=models.Q(state__in=BatchState.values), name="batch_state_known"),
        ]
        indexes = [
            # leasing: the next ready batches of a lane, in their accounts' turns
            models.Index(
                fields=["lane", "turn", "id"], name="batch_to_lease", condition=models.Q(state=BatchState.READY)
            ),
            # the next turn of an account: the last of its own
            models.Index(
                fields=["lane", "account", "-turn"], name="batch_turn", condition=models.Q(state=BatchState.READY)
            ),
            models.Index(fields=["account", "mode", "-id"], name="batch_list"),  # an account's delivery reports
            # sweeping overdue leases; the console. One state each: SQLite uses no index whose condition names several
            models.Index(fields=["lease_until"], name="batch_leased", condition=models.Q(state=BatchState.LEASED)),
            models.Index(fields=["id"], name="batch_unknown", condition=models.Q(state=BatchState.UNKNOWN)),
            # leasing of one gateway, and moving its batches to another: those of others may stand before them
            models.Index(
                fields=["lane", "gateway", "turn", "id"],
                name="batch_of_gateway",
                condition=models.Q(state=BatchState.READY),
            ),
            # setting aside what may not leave, and taking it up again; releasing what is due
            models.Index(fields=["campaign", "id"], name="batch_ready", condition=models.Q(state=BatchState.READY)),
            models.Index(
                fields=["campaign", "id"],
                name="batch_aside",
                condition=models.Q(state=BatchState.DEFERRED, release_at=None),
            ),
            models.Index(fields=["release_at"], name="batch_release", condition=models.Q(state=BatchState.DEFERRED)),
            # what no route leads to, however much is held for other reasons
            models.Index(
                fields=["campaign", "id"],
                name="batch_roadless",
                condition=models.Q(state=BatchState.DEFERRED, gateway=""),
            ),
            # canaries: what waits for the first recipients
            models.Index(fields=["campaign"], name="batch_waits", condition=models.Q(waits_for_canary=True)),
            # looking up reports that have not come, gateway by gateway, and giving up on those that never came
            models.Index(
                fields=["gateway", "report_check_at"], name="batch_report_check", condition=models.Q(sent__gt=0)
            ),
            models.Index(
                fields=["id"],
                name="batch_unplanned",
                condition=models.Q(sent__gt=0, report_check_at=None, report_check_count=0),
            ),
            models.Index(fields=["report_deadline"], name="batch_report_due", condition=models.Q(sent__gt=0)),
            # settling: what the ledger does not know yet, account by account
            models.Index(
                fields=["account", "campaign", "id"],
                name="batch_uncharged",
                condition=models.Q(price_micro__gt=0) & ~models.Q(segments=models.F("charged_segments")),
            ),
        ]

    def __str__(self) -> str:
        return f"batch {self.pk}"
