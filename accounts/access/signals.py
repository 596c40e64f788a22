"""Records sign-ins, sign-outs and failures in the audit log, wherever they happen."""

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver

from accounts.models import User
from accounts.security import audit


@receiver(user_logged_in)
def note_sign_in(user: User, **kwargs: Any) -> None:
    _record("signed_in", user)


@receiver(user_logged_out)
def note_sign_out(user: User | None, **kwargs: Any) -> None:
    if user is not None:
        _record("signed_out", user)


@receiver(user_login_failed)
def note_failure(credentials: dict[str, Any], request: Any = None, **kwargs: Any) -> None:
    """Record a failed sign-in.

    Throttled tries do not count. The typed name is kept only if it is somebody's: it may be a password.
    """
    if getattr(request, "axes_locked_out", False):
        return
    person = User.objects.filter(username=credentials.get("username") or "").first()
    audit.record(
        "user.sign_in_failed",
        account=None,
        by=None,
        target_type="user",
        target_id=person.username[:60] if person else "",
    )


def _record(verb: str, user: User) -> None:
    audit.record(f"user.{verb}", account=None, by=user, target_type="user", target_id=user.username[:60])
