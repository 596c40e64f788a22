"""Events to customers' systems: outbox, signing, delivery, and the check of their destinations."""

from accounts.webhooks.outbox import emit

__all__ = ["emit"]
