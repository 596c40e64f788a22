"""Which fields of a request go together, as JSON Schema. null means absent, so a field that is null is not given."""

from itertools import combinations
from typing import Any

Rule = dict[str, Any]


def exactly_one(*names: str) -> Rule:
    return {"allOf": [at_least_one(*names), at_most_one(*names)]}


def at_least_one(*names: str) -> Rule:
    return {"not": {"properties": {name: {"type": "null"} for name in names}}}


def at_most_one(*names: str) -> Rule:
    pairs = [_given(*pair) for pair in combinations(names, 2)]
    return {"not": {"anyOf": pairs} if len(pairs) > 1 else pairs[0]}


def all_of(*rules: Rule) -> Rule:
    return {"allOf": list(rules)}


def _given(*names: str) -> Rule:
    return {"required": list(names), "properties": {name: {"not": {"type": "null"}} for name in names}}
