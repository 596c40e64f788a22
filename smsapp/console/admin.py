"""Base classes for console pages.

Records are read-only, lists never count a big table, searches use an index, and actions ask for confirmation before
they call one service.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import model_ngettext
from django.contrib.admin.views.main import ORDER_VAR, ChangeList
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.functional import cached_property

from accounts.models import Account
from accounts.security import audit
from smsapp.core.exceptions import SmsappError

if TYPE_CHECKING:  # generic for the type checker only
    AnyModelAdmin = admin.ModelAdmin[Any]
    AnyPaginator = Paginator[Any]
else:
    AnyModelAdmin = admin.ModelAdmin
    AnyPaginator = Paginator

M = TypeVar("M", bound=Model)

COUNT_LIMIT = 2000  # a list counts no more rows than this; older rows are found by search


class BoundedPaginator(AnyPaginator):
    """Counts at most COUNT_LIMIT rows and knows whether there are more."""

    @cached_property
    def count(self) -> int:
        return min(self._found, COUNT_LIMIT)

    @property
    def has_more(self) -> bool:
        return self._found > COUNT_LIMIT

    @cached_property
    def _found(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[: COUNT_LIMIT + 1].count())


class FixedOrderChangeList(ChangeList):
    """A list that ignores a sort order in its URL unless the page's `sortable_by` allows it."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        if not self.model_admin.get_sortable_by(request):
            self.params.pop(ORDER_VAR, None)
        return super().get_ordering(request, queryset)


class Audited(AnyModelAdmin):
    """Records in the audit log what an operator adds, changes or deletes: the fields, never their values."""

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> LogEntry:
        _audit(request, obj, "added", message)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> LogEntry:
        _audit(request, obj, "changed", message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        for row in queryset:
            _audit(request, row, "deleted", "")
        return super().log_deletions(request, queryset)


def _audit(request: HttpRequest, obj: Model, verb: str, message: Any) -> None:
    account = obj if isinstance(obj, Account) else getattr(obj, "account", None)
    audit.record(
        f"console.{obj._meta.model_name}_{verb}",
        account=account if isinstance(account, Account) else None,
        by=request.user,  # type: ignore[arg-type]
        target_type=obj._meta.model_name or "",
        target_id=str(obj.pk),
        after={"how": message} if message else None,
    )


class ConsoleAdmin(Audited):
    """A page of the console. Rows cannot be deleted here, only suspended, revoked or deactivated.

    A subclass with a search sets `search_help_text` to what can be found and implements `find`.
    """

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # facets count every choice of every filter
    paginator = BoundedPaginator
    list_per_page = 50
    ordering: ClassVar[tuple[str, ...]] = ("-id",)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return FixedOrderChangeList

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def find(self, term: str) -> Q | None:
        """Return the condition, on an index, that finds a term; None if the term cannot match."""
        return None

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return ("pk",) if self.search_help_text else ()  # shows the box; `find` does the search

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        condition = None if "\x00" in term else self.find(term)
        if condition is None:
            advice = f"You cannot search for this. You can search for: {self.search_help_text}."
            self.message_user(request, advice, messages.WARNING, fail_silently=True)
        return (queryset.none() if condition is None else queryset.filter(condition)), False


class ReadOnlyAdmin(ConsoleAdmin):
    """Records that are shown but never added, changed or deleted. They are too many to be sorted."""

    sortable_by = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ActingAdmin(ConsoleAdmin):
    """Rows with read-only fields that change only through actions. They are too many to be sorted."""

    sortable_by = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return [field.name for field in self.opts.concrete_fields]


def confirmed_action(
    page: AnyModelAdmin,
    request: HttpRequest,
    queryset: QuerySet[M],
    *,
    question: str,
    act: Callable[[M], object],
    done: str,
    facts: Callable[[M], str] = lambda row: "",
) -> HttpResponse | None:
    """Ask for confirmation, then call a service for each selected row. Refusals are shown as messages.

    `facts` returns what an operator needs to know about a row to decide.
    """
    if "confirmed" not in request.POST:
        context = page.admin_site.each_context(request) | {
            "title": question,
            "opts": page.opts,
            "rows": [(row, facts(row)) for row in queryset],
            "action": request.POST["action"],
            "media": page.media,
        }
        return TemplateResponse(request, "admin/confirm_action.html", context)
    count = 0
    for row in queryset:
        try:
            act(row)
        except SmsappError as error:
            page.message_user(request, f"{row}: {error.message}", messages.ERROR)
        else:
            AnyModelAdmin.log_change(page, request, row, done)  # past Audited: the service has written the audit log
            count += 1
    if count:
        page.message_user(request, f"{count} {model_ngettext(page.opts, count)}: {done.lower()}", messages.SUCCESS)
    return None
