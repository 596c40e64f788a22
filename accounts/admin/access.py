"""The console's pages on people and their rights, and on failed sign-ins."""

from typing import Any

from axes.admin import AccessAttemptAdmin, AccessFailureLogAdmin, AccessLogAdmin
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Model
from django.http import HttpRequest

from accounts.models import Membership, User
from accounts.security import audit
from smsapp.console.admin import Audited

#: What gives rights in the console: only a superuser changes it, of anybody.
RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")


class MembershipInline(admin.TabularInline):
    model = Membership
    extra = 0
    raw_id_fields = ("user", "account")


@admin.register(User)
class UserAdmin(Audited, DjangoUserAdmin):
    """Operators without all rights see other operators and change customers' people only."""

    list_display = ("username", "email", "is_active", "is_staff", "last_login", "created_at")
    list_select_related = ()
    readonly_fields = ("last_login", "date_joined", "created_at", "updated_at")
    add_fieldsets = ((None, {"fields": ("username", "email", "usable_password", "password1", "password2")}),)
    inlines = (MembershipInline,)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        if isinstance(obj, User) and (obj.is_staff or obj.is_superuser) and not _has_all_rights(request):
            return False
        return super().has_change_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return self.readonly_fields if _has_all_rights(request) else (*self.readonly_fields, *RIGHTS)

    def get_inlines(self, request: HttpRequest, obj: Model | None) -> Any:
        return self.inlines if obj else ()

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        vars(obj)["_before"] = _shown(User.objects.get(pk=obj.pk)) if change else {}
        super().save_model(request, obj, form, change)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> LogEntry:
        """With the values of what decides who somebody is and what they may."""
        assert isinstance(obj, User)
        before, after = vars(obj).get("_before", {}), _shown(obj)
        changed = [name for name in before if before[name] != after[name]]
        audit.record(
            "console.user_changed",
            account=None,
            by=request.user,  # type: ignore[arg-type]
            target_type="user",
            target_id=obj.username[:60],
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed} | {"how": message},
        )
        return admin.ModelAdmin.log_change(self, request, obj, message)


class GroupAdmin(Audited, DjangoGroupAdmin):
    """What a group may: only superusers decide, or its members could give themselves every right."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _has_all_rights(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return _has_all_rights(request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return _has_all_rights(request)


class LockOutAdmin(Audited, AccessAttemptAdmin):
    """Failed sign-ins by name and address. Deleting one lets that name try again from there."""

    actions = None


class _Kept:
    """Records of sign-ins, which nobody deletes."""

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class SignInAdmin(_Kept, Audited, AccessLogAdmin):
    pass


class FailureAdmin(_Kept, Audited, AccessFailureLogAdmin):
    pass


for _model, _page in (
    (Group, GroupAdmin),
    (AccessAttempt, LockOutAdmin),
    (AccessLog, SignInAdmin),
    (AccessFailureLog, FailureAdmin),
):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)
    admin.site.register(_model, _page)


def _has_all_rights(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)


def _shown(person: User) -> dict[str, Any]:
    return {
        "username": person.username,
        "email": person.email,
        "is_active": person.is_active,
        "is_staff": person.is_staff,
        "is_superuser": person.is_superuser,
        "groups": sorted(person.groups.values_list("name", flat=True)),
        "user_permissions": sorted(person.user_permissions.values_list("codename", flat=True)),
    }
