"""Rows for tests, with defaults that make a working account."""

import secrets
from typing import Any

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from accounts.access.api_keys import Issuer, issue_api_key
from accounts.choices import SCOPES_OF, Mode, Role, Scope, SenderKind, SenderStatus
from accounts.models import Account, ApiKey, Membership, SenderId, User
from campaigns.choices import CampaignKind
from campaigns.models import Campaign
from campaigns.services import create_campaign
from campaigns.validation import CampaignRequest
from messaging.models import Gateway
from uploads.audiences import audience_from_numbers
from uploads.choices import AudienceSource, UploadStatus
from uploads.models import Audience, Upload


class AccountFactory(DjangoModelFactory[Account]):
    class Meta:
        model = Account

    name = factory.Sequence(lambda n: f"Account {n}")
    default_country = "DE"


class UserFactory(DjangoModelFactory[User]):
    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"user{n}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@example.com")
    password = factory.django.Password("correct horse battery")


class MembershipFactory(DjangoModelFactory[Membership]):
    class Meta:
        model = Membership

    account = factory.SubFactory(AccountFactory)
    user = factory.SubFactory(UserFactory)
    role = Role.OWNER


class SenderIdFactory(DjangoModelFactory[SenderId]):
    class Meta:
        model = SenderId

    account = factory.SubFactory(AccountFactory)
    value = "DemoShop"
    kind = SenderKind.ALPHANUMERIC
    status = SenderStatus.APPROVED


def phones(count: int, start: int = 0) -> list[str]:
    """Distinct German mobile numbers in E.164."""
    return [f"+4915112{start + n:06d}" for n in range(count)]


def make_audience(
    account: Account, count: int = 3, columns: tuple[str, ...] = (), values: list[list[str]] | None = None
) -> Audience:
    return audience_from_numbers(account, list(enumerate(phones(count), 1)), columns, values)


def make_campaign(account: Account | None = None, count: int = 3, **options: Any) -> Campaign:
    """A campaign through the services, running at once unless `scheduled_at` says otherwise."""
    membership = MembershipFactory(account=account) if account else MembershipFactory()
    audience = options.pop("audience", None) or make_audience(membership.account, count)
    kind = options.pop("kind", CampaignKind.BULK)
    request = CampaignRequest(kind=kind, message=options.pop("message", "Hello"), **options)
    return create_campaign(membership.account, membership.user, request, audience)


def in_use() -> dict[str, bool]:
    """For a row of a gateway that messages go to: it is on, and the first of a test is the preferred one."""
    return {"is_enabled": True, "is_preferred": not Gateway.objects.filter(is_preferred=True).exists()}


def make_api_key(
    account: Account | None = None, mode: Mode = Mode.LIVE, role: Role = Role.OWNER, **options: Any
) -> tuple[ApiKey, str]:
    """A key of a new member, and its text; without `scopes` it may whatever the role may."""
    membership = MembershipFactory(**({"account": account} if account else {}), role=role)
    issuer = Issuer(membership.account, membership.user, Mode.LIVE, frozenset(Scope))
    return issue_api_key(issuer, "test key", mode, **{"scopes": SCOPES_OF[role]} | options)


def make_upload(account: Account, rows: list[tuple[str, ...]], columns: list[str], **options: Any) -> Upload:
    """An upload that was read: one row for each recipient, the number first; its values are all columns."""
    recipients = [(place, row[0]) for place, row in enumerate(rows, 2)]
    audience = audience_from_numbers(account, recipients, columns, [list(row) for row in rows])
    audience.source = AudienceSource.UPLOAD
    audience.save(update_fields=["source"])
    values = {
        "user": MembershipFactory(account=account).user,
        "upload_id": f"upl-{secrets.token_hex(8)}",
        "filename": "x.csv",
        "original_filename": "people.csv",
        "file_size": 1000,
        "checksum": secrets.token_hex(32),
        "status": UploadStatus.READY,
        "columns": columns,
        "country": account.default_country,
        "audience": audience,
        "row_count": len(rows),
        "phone_count": len(rows),
        "processed_at": timezone.now(),
    }
    return Upload.objects.create(account=account, **(values | options))
