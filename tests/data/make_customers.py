"""Writes a list of customers as dirty as real ones: `python tests/data/make_customers.py --out FILE`.

`customers.csv` beside this file is `--rows 1000 --seed 1`. All is invented. The first thousand numbers come from ranges
that the regulators of Germany, Sweden, Australia and North America keep for films and examples; when those are used
up, from ordinary mobile ranges, so a longer file is for the simulator only. Numbers are unique but for the rows
that are meant as duplicates. Streams: a file of any length takes no memory.
"""

import argparse
import csv
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

HEADER = ("name", "phone", "city", "order", "amount")


class Range(NamedTuple):
    """Numbers prefix + 0 … capacity - 1, filled to `digits` places; `step` has no factor in common with capacity."""

    country_code: str
    prefix: str
    digits: int
    capacity: int
    step: int


FICTION = (
    Range("49", "1713920", 4, 100, 37),
    Range("49", "176040690", 2, 100, 37),
    Range("46", "7017406", 2, 95, 37),
    Range("61", "4915701", 2, 100, 37),
    *(Range("1", f"{area}55501", 2, 100, 37) for area in ("201", "212", "303", "404", "512", "702", "808")),
)
ORDINARY = (
    Range("49", "151", 8, 10**8, 31_415_927),
    Range("49", "176", 8, 10**8, 27_182_819),
    Range("33", "75", 7, 10**7, 7_654_321),
    Range("44", "7900", 6, 10**6, 654_321),
    Range("34", "61", 7, 10**7, 1_234_567),
    Range("48", "50", 7, 10**7, 3_141_593),
)

FORCED = 9999  # before the last two digits: what becomes of such a number the simulator has fixed; one ends a campaign

NAMES = (
    "Anna",
    "Bernd Müller",
    "Chloé",
    "Ðorđe",
    "Елена Иванова",
    "Γιώργος",
    "Zoë 🌻",
    "José",
    "Łukasz",
    "Ольга",
    "Ελένη Παππά",
    "Smith; John",
    'Robert "Bob" Hill',
    "Maria\nLouise",
    "Åse",
    "Jürgen",
    "Seán",
    "İpek",
    "Tom 🚲",
    "Nguyễn Thị",
    "Paul",
    "Laura",
    "Emma",
    "Noah",
    "Mia",
    "Ben",
    "Lena",
    "Finn",
    "Ida",
    "Max",
    "Eva",
    "Leo",
)
CITIES = ("Berlin", "Köln", "Paris", "Lyon", "Warszawa", "Αθήνα", "Москва", "Madrid", "Leeds", "Denver", "")
INVALID = ("+49 151 1", "+44 7700 90", "+33 6 39 98", "0151 12", "+999 123 456 789", "+49 30 1", "+1 555 555 5555")
NOT_NUMBERS = ("n/a", "unknown", "see note", "-", "ask Anna", "?")
LANDLINES = ("030 23125 001", "+49 30 23125 002", "+44 20 7946 0018", "+33 1 99 00 12 34")


def number(index: int, seed: int) -> tuple[str, str]:
    """Country code and national number of the index-th customer; the same for the same index and seed."""
    fiction = len(FICTION) * min(numbers.capacity for numbers in FICTION)
    if index < fiction:
        numbers, n = FICTION[index % len(FICTION)], index // len(FICTION)
    else:
        index -= fiction
        numbers, n = ORDINARY[index % len(ORDINARY)], index // len(ORDINARY)
    if n >= numbers.capacity:
        raise ValueError("too many rows: the ranges have no more numbers")
    serial = (n * numbers.step + seed * 1009) % numbers.capacity
    while serial % 10**6 // 100 == FORCED:
        serial = (serial * numbers.step + seed * 1009) % numbers.capacity
    return numbers.country_code, f"{numbers.prefix}{serial:0{numbers.digits}}"


def spelled(country_code: str, national: str, style: int) -> str:
    """One of the ways people write a number; national format for Germany only, the account's own country."""
    head, middle, tail = national[:3], national[3:6], national[6:]
    if country_code == "49" and style % 3 == 0:
        return (f"0{head} {middle}{tail}", f"0{head}/{middle}-{tail}", f"(0{head}) {middle} {tail}")[style // 3 % 3]
    return (
        f"+{country_code}{national}",
        f"00{country_code} {head} {middle} {tail}",
        f"+{country_code} ({head}) {middle}-{tail}",
        f"+{country_code} {head}.{middle}.{tail}",
        f"+{country_code}-{head}-{middle}-{tail}",
        f"+{country_code}\u00a0{head}\u00a0{middle}{tail}",
    )[style % 6]


def phones(rows: int, seed: int, chance: random.Random) -> Iterator[str | None]:
    """One phone cell for each row, the right ones in front of their duplicates; None for an empty line."""
    made = 0
    for row in range(rows):
        kind = chance.randrange(1000) if row > 20 else 999
        if kind < 24:
            yield spelled(*number(chance.randrange(made), seed), chance.randrange(9))
        elif kind < 44:
            yield chance.choice(INVALID + NOT_NUMBERS)
        elif kind < 50:
            yield chance.choice(LANDLINES)
        elif kind < 55:
            yield ""
        elif kind < 58:
            yield None
        else:
            yield spelled(*number(made, seed), chance.randrange(9))
            made += 1


def write(file: TextIO, rows: int, seed: int) -> None:
    chance = random.Random(seed)
    table = csv.writer(file, delimiter=";", lineterminator="\n")
    table.writerow(HEADER)
    for row, phone in enumerate(phones(rows, seed, chance), 1):
        if phone is None:
            file.write("\n")
            continue
        euros, cents = chance.randrange(5, 900), chance.randrange(100)
        amount = f"{euros},{cents:02}"
        table.writerow((chance.choice(NAMES), phone, chance.choice(CITIES), f"A-{row:07}", amount))


def main() -> None:
    parser = argparse.ArgumentParser(description="Write an invented list of customers as CSV.")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("customers.csv"))
    options = parser.parse_args()
    with options.out.open("w", encoding="utf-8-sig", newline="") as file:
        write(file, options.rows, options.seed)


if __name__ == "__main__":
    main()
