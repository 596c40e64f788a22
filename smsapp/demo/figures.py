"""The outcome in numbers: the JSON line of `make demo`, and whether it adds up and equals the ledger. Pure."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from uploads.choices import RowReason

#: Where the provider has, or had, the message.
ACCEPTED = ("sent", "delivered", "undelivered", "unconfirmed")
#: Counters of the API that mean: this message was never handed over, and the demonstration gives no cause for it.
UNEXPECTED = ("failed", "expired", "cancelled", "suppressed", "unconfirmed")


def figures(upload: Mapping[str, Any], campaign: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    return {
        "rows": upload["row_count"],
        "valid": upload["phone_count"],
        "invalid": upload["invalid_count"],
        "duplicates": upload["duplicate_count"],
        "accepted": sum(campaign[name] for name in ACCEPTED),
        "delivered": campaign["delivered"],
        "undelivered": campaign["undelivered"],
        "rejected": campaign["rejected"],
        "unknown": campaign["unknown"],
        "seconds": round(seconds, 1),
    }


def differences(
    outcome: Mapping[str, Any], campaign: Mapping[str, Any], ledger: Mapping[str, int], rows: int, refused: Counter[str]
) -> list[str]:
    """What does not add up, in words; empty if all is well.

    `rows`: data rows in the file; `refused`: rows of the error list by reason.
    """
    duplicates = refused[RowReason.DUPLICATE]
    pairs = [
        ("rows read and rows in the file", outcome["rows"], rows),
        ("valid + invalid + duplicates and rows", _sum(outcome, "valid", "invalid", "duplicates"), outcome["rows"]),
        ("duplicates and rows refused as such", outcome["duplicates"], duplicates),
        ("invalid and rows refused for other reasons", outcome["invalid"], refused.total() - duplicates),
        ("recipients and valid rows", campaign["total_recipients"], outcome["valid"]),
        ("accepted + rejected and valid rows", _sum(outcome, "accepted", "rejected"), outcome["valid"]),
        ("delivered + undelivered and accepted", _sum(outcome, "delivered", "undelivered"), outcome["accepted"]),
        *((f"{name} here and in the ledger", outcome[name], ledger[name]) for name in IN_LEDGER),
        ("numbers accepted twice by the ledger and none", ledger["duplicates"], 0),
        *((f"{name} and none", campaign[name], 0) for name in ("waiting", "pending", "sent", "unknown", *UNEXPECTED)),
    ]
    return [f"{what}: {one} and {other}" for what, one, other in pairs if one != other]


IN_LEDGER = ("accepted", "delivered", "undelivered", "rejected")


def _sum(outcome: Mapping[str, Any], *names: str) -> int:
    return sum(outcome[name] for name in names)
