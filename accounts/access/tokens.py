"""Tokens for people: an access token for some minutes, and a refresh token for the next pair.

All tokens of one sign-in are a family, a row. Each exchange makes the next refresh token the family's only valid one.
If an older one comes again, it was stolen, or its thief was here: the whole family is revoked. An access token is valid
while its family is, so whatever ends a sign-in (revocation, a new password, a disabled person, a lost membership) ends
it at once. A change of SECRET_KEY ends all sign-ins of the API.
"""

import hmac
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in
from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from rest_framework_simplejwt.exceptions import ExpiredTokenError, TokenError
from rest_framework_simplejwt.tokens import Token

from accounts.access import guessing
from accounts.access.jwt import AccessToken, RefreshToken
from accounts.access.people import username_of
from accounts.choices import Role
from accounts.models import Account, Membership, TokenFamily, User
from accounts.security import audit
from smsapp.core import clock
from smsapp.core.exceptions import (
    AuthenticationRefused,
    LoginThrottled,
    PermissionDenied,
    TokenExpired,
    TokenInvalid,
    ValidationError,
)
from smsapp.core.purge import Purged, remove_oldest

logger = logging.getLogger(__name__)

FAMILY = "sid"  # claim: the family's id
ACCOUNT = "account"  # claim: the account's id
MAX_ACCOUNTS_NAMED = 100

AnyToken = TypeVar("AnyToken", bound=Token)


@dataclass(frozen=True, slots=True)
class TokenPair:
    """`expires_in`: seconds. `refresh_expires_at`: when a new sign-in is needed."""

    access_token: str
    refresh_token: str
    expires_in: int
    refresh_expires_at: datetime
    account: Account
    role: Role


def check_password(request: HttpRequest, login: str, password: str) -> User:
    """Return the active person with this username or e-mail address and password.

    A failure counts as on the sign-in page and is the same whether the person exists. Raises AuthenticationRefused, or
    LoginThrottled while that name is locked out at this address.
    """
    name = username_of(login)
    guess = guessing.begin(request, name)
    user = authenticate(request, username=name, password=password)
    if getattr(request, "axes_locked_out", False):
        seconds = round(settings.AXES_COOLOFF_TIME * 3600)
        raise LoginThrottled(_("Too many failed attempts. Try again later."), retry_after=seconds)
    if not isinstance(user, User):
        raise AuthenticationRefused("The name or the password is not right.")
    guessing.succeeded(request, guess, user)
    user_logged_in.send(sender=User, request=request, user=user)  # forgets the failures, notes the time
    return user


def sign_in(user: User, account_id: str | None = None) -> TokenPair:
    """Begin a family of tokens.

    `account_id`: as the API names it; None for the person's oldest account, so that joining another changes nothing for
    callers who name none. Raises ValidationError naming `account_id`, with the possible `accounts`, or
    PermissionDenied.
    """
    membership = _membership(user, account_id)
    with transaction.atomic():
        family = TokenFamily(
            account=membership.account,
            user=user,
            password_mark=user.get_session_auth_hash(),
            expires_at=clock.about_now() + settings.SIMPLE_JWT["REFRESH_TOKEN_LIFETIME"],
        )
        refresh_token = _next_token(family)
        family.current_jti = refresh_token["jti"]
        family.save()
        _record("issued", family)
    return _pair(family, refresh_token, Role(membership.role))


def refresh(text: str) -> TokenPair:
    """Exchange a refresh token. Raises TokenExpired or TokenInvalid. An old token ends its whole family."""
    token = _decoded(RefreshToken, text)
    family, role = _good_family(token)
    fresh = _next_token(family)
    exchanged = TokenFamily.objects.filter(pk=family.pk, current_jti=token["jti"], revoked_at=None).update(
        current_jti=fresh["jti"]
    )
    if not exchanged:
        _revoke(family, "reused")
        raise TokenInvalid(_("This token has already been used. All tokens of its sign-in are revoked."))
    return _pair(family, fresh, role)


def revoke(text: str) -> None:
    """End the family of a refresh token at once. Twice is the same as once. Raises TokenExpired or TokenInvalid."""
    token = _decoded(RefreshToken, text)
    family = _family_of(token)
    if family is None:
        raise TokenInvalid(_("This token is not valid."))
    _revoke(family, "revoked")


def end(family: TokenFamily, by: User) -> None:
    """End somebody's sign-in at once, as an operator."""
    _revoke(family, "revoked", by)


def check_access_token(text: str) -> tuple[TokenFamily, Role]:
    """Return the family of an access token, with account, user, and the person's role.

    Raises TokenExpired or TokenInvalid.
    """
    return _good_family(_decoded(AccessToken, text))


def purge(now: datetime) -> Purged:
    """Remove expired families."""
    return remove_oldest(TokenFamily.objects.filter(expires_at__lt=now), "expires_at")


def _membership(user: User, account_id: str | None) -> Membership:
    memberships = list(
        Membership.objects.filter(user=user).select_related("account").order_by("pk")[:MAX_ACCOUNTS_NAMED]
    )
    if not memberships:
        raise PermissionDenied(_("You are not a member of an account."))
    if account_id is None:
        return memberships[0]
    for membership in memberships:
        if membership.account.public_id == account_id:
            return membership
    accounts = [{"account_id": one.account.public_id, "name": one.account.name} for one in memberships]
    raise ValidationError(_("Name one of your accounts."), "account_id", account_id, accounts=accounts)


def _next_token(family: TokenFamily) -> RefreshToken:
    token = RefreshToken()
    token["sub"] = str(family.user_id)
    token[ACCOUNT] = family.account.public_id
    token[FAMILY] = str(family.family_id)
    token["exp"] = int(family.expires_at.timestamp())
    return token


def _pair(family: TokenFamily, token: RefreshToken, role: Role) -> TokenPair:
    access = token.access_token
    access["exp"] = min(access["exp"], token["exp"])
    return TokenPair(
        access_token=str(access),
        refresh_token=str(token),
        expires_in=access["exp"] - access["iat"],
        refresh_expires_at=family.expires_at,
        account=family.account,
        role=role,
    )


def _decoded(kind: type[AnyToken], text: str) -> AnyToken:
    """Return the claims of a token with valid signature, algorithm, issuer, audience, type and expiry."""
    try:
        return kind(text)  # type: ignore[arg-type]
    except ExpiredTokenError as error:
        raise TokenExpired("This token has expired.") from error
    except TokenError as error:
        raise TokenInvalid(_("This token is not valid.")) from error


def _family_of(token: Token) -> TokenFamily | None:
    """Return the family a token names, with the person's `role`, if person and account match."""
    try:
        family_id = UUID(token.get(FAMILY))
    except (ValueError, TypeError, AttributeError):
        return None
    role = Membership.objects.filter(account=OuterRef("account"), user=OuterRef("user")).values("role")[:1]
    families = TokenFamily.objects.select_related("account", "user").annotate(role=Subquery(role))
    family = families.filter(family_id=family_id).first()
    if family is None or (token.get("sub"), token.get(ACCOUNT)) != (str(family.user_id), family.account.public_id):
        return None
    return family


def _good_family(token: Token) -> tuple[TokenFamily, Role]:
    family = _family_of(token)
    role: str | None = getattr(family, "role", None)
    if (
        family is None
        or role is None
        or family.revoked_at is not None
        or not family.user.is_active
        or not hmac.compare_digest(family.password_mark, family.user.get_session_auth_hash())
    ):
        raise TokenInvalid(_("This token is not valid."))
    return family, Role(role)


def _revoke(family: TokenFamily, verb: str, by: User | None = None) -> None:
    with transaction.atomic():
        if TokenFamily.objects.filter(pk=family.pk, revoked_at=None).update(revoked_at=clock.about_now()):
            _record(verb, family, by)
    if verb == "reused":
        logger.warning("an old refresh token came again: family %s is revoked", family.family_id)


def _record(verb: str, family: TokenFamily, by: User | None = None) -> None:
    audit.record(
        f"token.{verb}",
        account=family.account,
        by=by or family.user,
        target_type="token_family",
        target_id=str(family.family_id),
    )
