"""Rows for tests, with defaults that make a working account."""

from typing import Any

import factory
from factory.django import DjangoModelFactory

from accounts import services as account_services
from accounts.choices import Mode, Role, SenderKind, SenderStatus
from accounts.models import Account, ApiKey, Membership, SenderId, User
from campaigns.choices import CampaignKind
from campaigns.models import Campaign
from campaigns.services import CampaignRequest, create_campaign
from uploads.models import Audience
from uploads.services import audience_from_numbers


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


def make_api_key(account: Account | None = None, mode: Mode = Mode.LIVE) -> tuple[ApiKey, str]:
    membership = MembershipFactory(account=account) if account else MembershipFactory()
    return account_services.issue_api_key(membership.account, membership.user, "test key", mode)
