"""The console's pages of accounts: people and credentials, money, webhooks, and what was done."""

from accounts.admin import access, accounts, billing, logs, webhooks  # noqa: F401  (their pages register themselves)
