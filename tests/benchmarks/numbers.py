"""Phone numbers: the product's verdict beside libphonenumber's own, one by one, and how long either takes.

Lists: cells of a customers' file, as dirty as real ones; random digits; the examples of every country with digits drawn
again and faults put in; and, for the speed alone, clean E.164. Agreed means: the same number in E.164, or refused for
the same reason.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import phonenumbers

from smsapp.demo.display import say
from smsapp.lib.phone import RefusedNumber, parse_number, parse_slowly
from tests.benchmarks.figures import Figure
from tests.benchmarks.stand import Stand
from tests.data.make_customers import number, phones

PART = "numbers"
BLOCK = 5000  # numbers that one way takes before the other
COUNTRIES = ("DE", "US", "IT", "BR", "GB", "CH", "RU", "MX", "AR", "IN")
HOME = "DE"
SHOWN = 5

Parse = Callable[[str, str], str]


@dataclass(frozen=True)
class List:
    """Seconds of processor time either way. `differing`: numbers on which they do not agree."""

    name: str
    count: int
    fast: float
    slow: float
    differing: list[str]

    @property
    def ratio(self) -> float:
        return self.slow / self.fast


@dataclass(frozen=True)
class Numbers:
    lists: list[List]

    def figures(self) -> list[Figure]:
        goals = {"mixed": 8, "clean": 12}
        found = []
        for one in self.lists:
            found.append(Figure(PART, f"{one.name}: verdicts", one.count / one.fast, "numbers/s of CPU"))
            goal = goals.get(one.name)
            found.append(Figure(PART, f"{one.name}: times libphonenumber", one.ratio, "×", at_least=goal))
        wrong = sum(len(one.differing) for one in self.lists)
        return [*found, Figure(PART, "disagreements", wrong, f"of {sum(one.count for one in self.lists):,}", at_most=0)]


def measure(stand: Stand) -> Numbers:
    found = compare(stand.options.numbers)
    for line in [line for one in found.lists for line in one.differing][:SHOWN]:
        say(f"They differ: {line}")
    return found


def compare(count: int, seed: int = 1) -> Numbers:
    chance = random.Random(seed)
    lists = {
        "mixed": [(text or "", HOME) for text in phones(count, seed, chance)],
        "clean": [(f"+{code}{rest}", HOME) for code, rest in (number(place, seed) for place in range(count))],
        "random": [(_random(chance), chance.choice(COUNTRIES)) for _ in range(count)],
        "mutated": [(text, chance.choice(COUNTRIES)) for text in islice(_mutated(chance), count)],
    }
    return Numbers([_compare(name, numbers) for name, numbers in lists.items()])


def _compare(name: str, numbers: Sequence[tuple[str, str]]) -> List:
    fast = slow = 0.0
    differing: list[str] = []
    for start in range(0, len(numbers), BLOCK):
        block = numbers[start : start + BLOCK]
        seconds, ours = _timed(parse_number, block)
        fast += seconds
        seconds, theirs = _timed(parse_slowly, block)
        slow += seconds
        differing += [
            f"{text!r} in {country}: {one}, {other}"
            for (text, country), one, other in zip(block, ours, theirs, strict=True)
            if one != other
        ]
    return List(name, len(numbers), fast, slow, differing)


def _timed(parse: Parse, numbers: Sequence[tuple[str, str]]) -> tuple[float, list[str]]:
    """Seconds, and for each number its E.164 form or the reason of its refusal."""
    verdicts = []
    began = time.process_time()
    for text, country in numbers:
        try:
            verdicts.append(parse(text, country))
        except RefusedNumber as refusal:
            verdicts.append(f"{refusal.reason} {refusal.detail}")
    return time.process_time() - began, verdicts


def _random(chance: random.Random) -> str:
    digits = "".join(chance.choice("0123456789") for _ in range(chance.randint(5, 15)))
    return chance.choice(("+", "+", "00", "")) + digits


def _mutated(chance: random.Random) -> Iterator[str]:
    """Examples of every region and type with their last digits drawn, in all formats; two of five have a fault."""
    examples = [
        example
        for region in sorted(phonenumbers.SUPPORTED_REGIONS)
        for kind in sorted(phonenumbers.PhoneNumberType.values())
        if (example := phonenumbers.example_number_for_type(region, kind))
    ]
    formats = range(4)  # E.164, international, national, RFC 3966
    while True:
        text = phonenumbers.format_number(chance.choice(examples), chance.choice(formats))
        tail = chance.randint(0, 6)
        text = "".join(
            chance.choice("0123456789") if character.isdigit() and place >= len(text) - tail else character
            for place, character in enumerate(text)
        )
        yield _faulty(text, chance) if chance.random() < 0.4 else text


def _faulty(text: str, chance: random.Random) -> str:
    place = chance.randrange(len(text))
    other = chance.choice("0123456789 -()/.+x\u00a0")
    return chance.choice(
        (
            text[:place] + text[place + 1 :],
            text[:place] + other + text[place:],
            text[:place] + other + text[place + 1 :],
            text[place:] + text[:place],
        )
    )
