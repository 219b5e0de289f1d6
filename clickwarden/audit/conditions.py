"""What rules ask of a click's fields, judged a second time: a field at a time, with nothing remembered."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

#: Signs that a backslash takes as they stand.
_SIGNS = "!<>=*?[\\"
#: In a pattern: what stands for any text, and for any sign; a sign is text, and a set of signs one.
_TEXT, _SIGN = object(), object()
_Pattern = list[Any]


def fulfils(where: Mapping[str, str | Sequence[str]], said: Mapping[str, str | None]) -> bool:
    """Whether what stands in a click's fields is all that is asked.

    >>> fulfils({"status": ">= 400", "path": "/api/*"}, {"status": "404", "path": "/api/x"})
    True
    >>> fulfils({"method": ("!GET", "!HEAD")}, {"method": None}), fulfils({"plan": "*"}, {"plan": None})
    (True, False)
    """
    return all(_is(written, said[field]) for field, written in where.items())


def _is(written: str | Sequence[str], text: str | None) -> bool:
    each = [written] if isinstance(written, str) else written
    if each[0][0] == "!":
        return text is None or not any(_is_one(one[1:], text) for one in each)
    return text is not None and any(_is_one(one, text) for one in each)


def _is_one(wanted: str, text: str) -> bool:
    if wanted.lstrip()[0] in "<>":
        number = _number(text)
        return number is not None and all(_stands(number, part.strip()) for part in wanted.split(","))
    pattern = _pattern(wanted)
    if all(isinstance(sign, str) for sign in pattern):
        exactly = "".join(pattern)
        number = _number(exactly)
        return text == exactly or (number is not None and _number(text) == number)
    return _fits(pattern, text)


def _stands(number: float, comparison: str) -> bool:
    sign = comparison.rstrip("-.0123456789eE+ ")
    bound = _number(comparison.removeprefix(sign).strip())
    assert bound is not None
    above, equal = sign[0] == ">", "=" in sign
    return (equal and number == bound) or (number > bound if above else number < bound)


def _number(text: str) -> float | None:
    """The number that JSON says a text is."""
    if not text or text[-1] not in "0123456789" or text[0] not in "-0123456789":
        return None
    try:
        found: float = _decode(text)
    except ValueError:
        return None
    return found


def _integer(literal: str) -> float:
    return int(literal) if len(literal.removeprefix("-")) <= 4300 else float(literal)  # Python's own limit


_decode = json.JSONDecoder(parse_int=_integer).decode


def _pattern(wanted: str) -> _Pattern:
    """The signs of a pattern, and what stands for others."""
    found: _Pattern = []
    at = 0
    while at < len(wanted):
        sign = wanted[at]
        at += 1
        if sign == "\\" and wanted[at : at + 1] and wanted[at] in _SIGNS:
            found.append(wanted[at])
            at += 1
        elif sign == "[":
            end = wanted.index("]", at + (2 if wanted[at] == "!" else 1))
            found.append(_set(wanted[at:end]))
            at = end + 1
        else:
            found.append({"*": _TEXT, "?": _SIGN}.get(sign, sign))
    return found


def _set(signs: str) -> tuple[bool, list[tuple[str, str]]]:
    """Whether it is of the other signs, and the ranges of those that are named."""
    others, signs = signs[0] == "!", signs.removeprefix("!")
    ranges = []
    at = 0
    while at < len(signs):
        if signs[at + 1 : at + 2] == "-" and at + 2 < len(signs):
            ranges.append((signs[at], signs[at + 2]))
            at += 3
        else:
            ranges.append((signs[at], signs[at]))
            at += 1
    return others, ranges


def _fits(pattern: _Pattern, text: str) -> bool:
    """Whether all of a text does: by the places in the pattern that may be reached, sign by sign."""
    reached = _behind_any(pattern, {0})
    for sign in text:
        stays = {place for place in reached if place < len(pattern) and pattern[place] is _TEXT}
        goes = {place + 1 for place in reached if place < len(pattern) and _takes(pattern[place], sign)}
        reached = _behind_any(pattern, stays | goes)
    return len(pattern) in reached


def _behind_any(pattern: _Pattern, places: set[int]) -> set[int]:
    """These places, and those behind what may stand for nothing."""
    found = set(places)
    for place in sorted(places):
        while place < len(pattern) and pattern[place] is _TEXT:
            place += 1
            found.add(place)
    return found


def _takes(wanted: Any, sign: str) -> bool:
    if wanted is _TEXT or wanted is _SIGN or isinstance(wanted, str):
        return wanted is _SIGN or wanted == sign
    others, ranges = wanted
    return any(low <= sign <= high for low, high in ranges) is not others
