"""What a demonstration shows: a bar that moves on a terminal and is a few plain lines elsewhere, and tables."""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

WIDTH = 40
PLAIN_INTERVAL = 1.0  # seconds between two lines where the output is no terminal
WAITING = ("waiting", "pending", "unknown")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Progress:
    """Pending, sent, delivered: `#` has its final outcome, `=` is with the provider, `.` waits."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._out = stream or sys.stdout
        self._last = ("", 0.0)

    def show(self, label: str, total: int, done: int, under_way: int = 0, text: str = "") -> None:
        line = f"{label:<10} [{_bar(total, done, under_way)}] {text}"
        now = time.monotonic()
        if self._out.isatty():
            self._out.write(f"\r\x1b[K{line}")
        elif line != self._last[0] and (now - self._last[1] >= PLAIN_INTERVAL or done >= total):
            self._out.write(f"{line}\n")
            self._last = (line, now)
        self._out.flush()

    def reading(self, upload: Mapping[str, Any]) -> None:
        rows, share = upload["row_count"], upload["progress"]
        self.show("Reading", 1000, round(share * 1000), text=f"{share:>4.0%}  {rows} rows")

    def sending(self, campaign: Mapping[str, Any]) -> None:
        waiting = sum(campaign[name] for name in WAITING)
        total, sent = campaign["total_recipients"], campaign["sent"]
        text = f"{waiting} pending, {sent} sent, {campaign['delivered']} delivered"
        self.show("Sending", total, total - waiting - sent, sent, text)

    def close(self) -> None:
        self._last = ("", 0.0)
        if self._out.isatty():
            self._out.write("\n")


def _bar(total: int, done: int, under_way: int) -> str:
    if total <= 0:
        return "." * WIDTH
    first = min(WIDTH, WIDTH * done // total)
    second = min(WIDTH - first, -(-WIDTH * under_way // total))
    return "#" * first + "=" * second + "." * (WIDTH - first - second)


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns as wide as they need; numbers to the right."""
    texts = [[_cell(cell) for cell in row] for row in rows]
    widths = [max(len(line[index]) for line in [list(header), *texts]) for index in range(len(header))]
    lines = [title, "  ".join(f"{name:<{width}}" for name, width in zip(header, widths, strict=True)).rstrip()]
    lines.append("  ".join("-" * width for width in widths))
    for row, text in zip(rows, texts, strict=True):
        cells = [
            f"{cell:>{width}}" if isinstance(raw, int | float) else f"{cell:<{width}}"
            for raw, cell, width in zip(row, text, widths, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, int):
        return f"{value:,}"
    return "".join(character if character.isprintable() else "·" for character in str(value))
