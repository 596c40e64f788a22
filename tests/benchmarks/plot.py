"""The plot: what a message goes through, the product beside the raw limit and the ordinary design, and each goal.

An SVG written by hand, so that a benchmark needs no graphics library. Speeds are on a logarithmic scale.
"""

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from tests.benchmarks.figures import Figure

WIDTH, ROW, LEFT, TOP = 1150, 22, 470, 34
BAR = WIDTH - LEFT - 180
FONT = 'font-family="system-ui, sans-serif" font-size="12"'
PRODUCT, LIMIT, ORDINARY, MISSED, REACHED, PALE = "#0b62a3", "#8a8f98", "#c28a1c", "#b3392f", "#2d7d46", "#e7eaee"
SPEEDS = "/s"


def write_plot(path: Path, figures: Sequence[Figure]) -> None:
    speeds = [
        figure for figure in figures if figure.part == "path" and figure.unit.endswith(SPEEDS) and figure.value > 0
    ]
    goals = [figure for figure in figures if figure.is_reached is not None]
    rows = [*_speeds(speeds, TOP), *_goals(goals, 2 * TOP + ROW * len(speeds))]
    height = 3 * TOP + ROW * (len(speeds) + len(goals))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" {FONT}>'
    ground = f'<rect width="{WIDTH}" height="{height}" fill="white"/>'
    path.write_text("\n".join([head, ground, *rows, "</svg>"]) + "\n", encoding="utf-8")


def _speeds(figures: Sequence[Figure], top: int) -> list[str]:
    if not figures:
        return []
    most = math.log10(max(figure.value for figure in figures))
    rows = [_title("Speed (logarithmic)", top)]
    for place, figure in enumerate(figures):
        share = max(math.log10(figure.value), 0) / most if most > 0 else 1
        rows += _row(top + ROW * place, figure.name, share, _colour(figure), f"{figure.value:,.0f} {figure.unit}")
    return rows


def _goals(figures: Sequence[Figure], top: int) -> list[str]:
    """How much of each goal is reached, all of it at most."""
    rows = [_title("Goals", top)]
    for place, figure in enumerate(figures):
        share = 1.0 if figure.is_reached else figure.share_of_goal
        colour = REACHED if figure.is_reached else MISSED
        rows += _row(top + ROW * place, f"{figure.part}: {figure.name}", share, colour, figure.of_goal)
    return rows


def _colour(figure: Figure) -> str:
    if figure.name.startswith("raw limit"):
        return LIMIT
    return ORDINARY if figure.name.startswith("ordinary") else PRODUCT


def _title(text: str, top: int) -> str:
    return f'<text x="12" y="{top - 12}" font-weight="bold">{escape(text)}</text>'


def _row(top: int, name: str, share: float, colour: str, text: str) -> list[str]:
    middle = top + 14
    return [
        f'<text x="{LEFT - 8}" y="{middle}" text-anchor="end">{escape(name)}</text>',
        f'<rect x="{LEFT}" y="{top + 3}" width="{BAR}" height="{ROW - 8}" fill="{PALE}"/>',
        f'<rect x="{LEFT}" y="{top + 3}" width="{BAR * min(share, 1):.1f}" height="{ROW - 8}" fill="{colour}"/>',
        f'<text x="{LEFT + BAR + 8}" y="{middle}">{escape(text)}</text>',
    ]
