"""What every view of the API has that acts for an account."""

from accounts.permissions import Scoped
from smsapp.api.throttling import Limited


class AccountMixin(Limited, Scoped):
    """First base of each such view. It names its scopes; what it shows and changes belongs to the caller's account."""
