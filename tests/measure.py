"""`make measure`: the shape of the code, each figure beside its goal."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("smsapp", "accounts", "uploads", "campaigns", "messaging", "reports")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Figure:
    name: str
    seen: float
    goal: float
    is_most: bool = True  # whether the goal is the most that may be seen; else the least

    @property
    def is_reached(self) -> bool:
        return self.seen <= self.goal if self.is_most else self.seen >= self.goal

    def __str__(self) -> str:
        sign = "≤" if self.is_most else "≥"
        return f"{'  ' if self.is_reached else '! '}{self.name:<48}{self.seen:>8g}   {sign} {self.goal:g}"


def files(*suffixes: str) -> list[Path]:
    """What is tracked of the packages, without migrations."""
    listed = subprocess.run(
        ["git", "ls-files", *PACKAGES, "templates"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [ROOT / line for line in listed.stdout.splitlines() if line.endswith(suffixes) and "migrations" not in line]
    return [path for path in paths if path.exists()]


def functions(trees: list[ast.Module]) -> Iterator[Function]:
    for tree in trees:
        yield from (node for node in ast.walk(tree) if isinstance(node, Function))


def length(function: Function) -> int:
    """Lines of its body, without the docstring."""
    has_docstring = ast.get_docstring(function) is not None
    body = function.body[1:] if has_docstring else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def code() -> Iterator[Figure]:
    paths = files(".py")
    texts = [path.read_text() for path in paths]
    trees = [ast.parse(text) for text in texts]
    found = list(functions(trees))
    lengths = sorted(map(length, found))
    yield Figure("function length in lines, 90th percentile", lengths[len(lengths) * 9 // 10], 16)
    yield Figure("longest function", lengths[-1], 50)
    yield Figure(
        "returns annotated, %", round(100 * sum(one.returns is not None for one in found) / len(found), 1), 100, False
    )
    yield Figure(
        "functions with a docstring, %",
        round(100 * sum(bool(ast.get_docstring(one)) for one in found) / len(found), 1),
        25,
        False,
    )
    yield Figure(
        "`global` statements", sum(isinstance(node, ast.Global) for tree in trees for node in ast.walk(tree)), 2
    )
    folders = Counter(path.parent for path in paths if path.name != "__init__.py")
    yield Figure("Python files in the fullest folder", max(folders.values()), 16)
    yield Figure("longest file in lines", max(text.count("\n") for text in texts), 400)
    yield Figure("formatter overruled (`# fmt: skip`)", sum(text.count("fmt: skip") for text in texts), 20)


def pages() -> Iterator[Figure]:
    lines = [line for path in files(".html") for line in path.read_text().splitlines()]
    yield Figure("longest template line", max(map(len, lines)), 140)
    yield Figure("README words", len(re.findall(r"\S+", (ROOT / "README.md").read_text())), 1200)


def main() -> int:
    figures = [*code(), *pages()]
    print(*figures, sep="\n")
    reached = sum(figure.is_reached for figure in figures)
    print(f"\n{reached} of {len(figures)} reached")
    return 0


if __name__ == "__main__":
    sys.exit(main())
