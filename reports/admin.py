"""The console's pages on statistics: to read only."""

from django.contrib import admin
from django.db.models import Q

from campaigns.models.tally import COUNTED_STATUSES
from messaging.models import StatDelta
from reports.models import DailyCountry, DailyStat
from smsapp.console.admin import ReadOnlyAdmin


@admin.register(DailyStat)
class DailyStatAdmin(ReadOnlyAdmin):
    """Ordered by when a day's row was made, which is nearly the order of days and needs no index."""

    list_display = ("day", "account", "mode", "sender_id", "gateway", *COUNTED_STATUSES, "segments")
    list_select_related = ("account",)
    search_help_text = "Account name, in full"

    def find(self, term: str) -> Q | None:
        return Q(account__name=term)


@admin.register(DailyCountry)
class DailyCountryAdmin(ReadOnlyAdmin):
    """Ordered like the daily statistics."""

    list_display = ("day", "account", "mode", "country", "messages")
    list_select_related = ("account",)
    search_help_text = "Account name, in full"

    def find(self, term: str) -> Q | None:
        return Q(account__name=term)


@admin.register(StatDelta)
class StatDeltaAdmin(ReadOnlyAdmin):
    """Changes that are not folded yet: none, or a few seconds' worth, while the periodic worker runs."""

    list_display = ("id", "batch_id", *COUNTED_STATUSES, "segments")
