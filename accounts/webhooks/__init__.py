"""Events out to customers' systems: outbox, signing, delivery, and the guard of the addresses they go to."""

from accounts.webhooks.outbox import emit

__all__ = ["emit"]
