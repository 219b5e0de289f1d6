r"""Conditions on the fields of a click as they are written: the language of ``[rule.where]``.

:mod:`~clickwarden.detection.conditions` judges by them.

| written | holds for |
|---|---|
| ``"GET"``, ``404``, ``true`` | this value; numbers compare as numbers, ``404`` and ``"404"`` are one |
| ``["GET", "HEAD"]`` | any of them |
| ``"/api/*"``, ``"item-?"``, ``"[ab]*"`` | text that fits as a whole; case matters |
| ``">= 400"``, ``">= 400, < 500"`` | a number for which that, or all of that, is so |
| ``"!GET"``, ``["!GET", "!HEAD"]`` | anything else, and a click that lacks the field |
| ``"*"``, ``"!*"`` | a click that has the field; one that lacks it |

A click that lacks a field, or has null, a list or an object there, fulfils
nothing but what begins with ``!``. A backslash before one of ``!<>=*?[\`` takes
it as it stands.
"""

import math
import re
from collections.abc import Iterator, Mapping
from fnmatch import translate
from typing import Any, NamedTuple

#: A condition as a rule keeps it: numbers, true and false are text, and several are any of them.
Written = str | tuple[str, ...]

#: What a click has of itself, wherever the topic's records have it; ``timestamp`` is no matter of conditions.
OWN = ("user_id", "event", "product_id")
#: Fields that one rule may have conditions on, values that one condition may list, and signs of one.
FIELDS_MAX, VALUES_MAX, SIGNS_MAX = 16, 100, 256
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<fraction>(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)")
_COMPARISON = re.compile(r"\s*([<>=]+)\s*(.*?)\s*", re.DOTALL)
_COMPARISONS = frozenset({">=", "<=", ">", "<"})
_MEANT = {"=>": ">= {}", "=<": "<= {}", "==": "{}", "=": "{}", "<>": "!{}", "===": "{}", "><": "!{}"}
_PLACE = re.compile(r"@key|@(?:header|field):[^\"\\|]+|[^@\"\\|.]+(?:\.[^\"\\|.]+)*")
_ESCAPED = re.compile(r"\\([!<>=*?\[\\])")
#: Parts of a glob: a sign taken as it stands, a set of signs, any others.
_GLOB = re.compile(
    r"\\(?P<sign>[!<>=*?\[\\])|(?P<set>\[(?:!.|[^!])[^\]]*\])|(?P<open>\[)|(?P<other>.)", re.DOTALL
)


def number_of(text: str) -> int | float | None:
    """The number that a text is, written as JSON has it; None where it is none.

    >>> number_of("404"), number_of("4.04e2"), number_of("007"), number_of("")
    (404, 404.0, None, None)
    """
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    try:
        return float(text) if found["fraction"] else int(text)
    except ValueError:  # of more digits than Python reads
        return float(text)


class Value(NamedTuple):
    """One value, as text."""

    text: str


class Glob(NamedTuple):
    """Text that fits a pattern, as :mod:`fnmatch` has them."""

    pattern: str


class Range(NamedTuple):
    """Numbers for which each comparison with a bound is so."""

    bounds: tuple[tuple[str, int | float], ...]

    @property
    def empty(self) -> bool:
        """Whether no number can be in it."""
        low = max(((bound, sign == ">") for sign, bound in self.bounds if sign[0] == ">"), default=None)
        high = min(((bound, sign == "<=") for sign, bound in self.bounds if sign[0] == "<"), default=None)
        if low is None or high is None:
            return False
        return low[0] > high[0] or (low[0] == high[0] and (low[1] or not high[1]))


class Clause(NamedTuple):
    """What a field must be, or, where it ``excludes``, must not be: any of these."""

    excludes: bool
    any_of: tuple[Value | Glob | Range, ...]


def clause_of(written: Written) -> Clause:
    """What is written of one field.

    Raises:
        ValueError: it cannot be; in words.
    """
    parsed = [_parsed(text) for text in ((written,) if isinstance(written, str) else written)]
    if len({excludes for excludes, _ in parsed}) > 1:
        raise ValueError(
            "mixes values and exclusions; a list means any of its values, or, where each begins with !, "
            "none of them"
        )
    return Clause(parsed[0][0], tuple(one for _, one in parsed))


def normal(where: Mapping[str, Any]) -> dict[str, Written]:
    """The conditions by field, as a rule keeps them, whichever of the ways to write them was taken.

    Raises:
        ValueError: one is wrong; in words, with the field and the cure.
    """
    found = dict(sorted(_flat(where)))
    if not found:
        raise ValueError("where: holds no condition; add one, as in status = 404, or leave it out")
    if len(found) > FIELDS_MAX:
        raise ValueError(
            f"where: has conditions on {len(found)} fields, and a rule at most {FIELDS_MAX}; leave some out"
        )
    for field, written in found.items():
        check_field(field, f"where.{field}")
        try:
            found[field] = _normal(written)
            clause_of(found[field])
        except ValueError as error:
            raise ValueError(f"where.{field}: {error}") from None
    return found


def text_of(value: object) -> str | None:
    """A value as conditions see it; None where it is none: null, a list or an object, a number beyond all.

    >>> text_of("x"), text_of(404), text_of(404.0), text_of(0.5), text_of(True), text_of([1])
    ('x', '404', '404', '0.5', 'true', None)
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    return None


def flat(table: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """The ends of a table's tables by their paths, as TOML makes such of ``user.plan = "pro"``."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


def _flat(where: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    known = set()
    for field, written in flat(where):
        if field in known:
            raise ValueError(f"where.{field}: stands there twice; leave one out")
        known.add(field)
        yield field, written


def check_field(field: str, named: str) -> None:
    """See that a field is one, or several with ``|`` between, as conditions and what is counted name them.

    Raises:
        ValueError: it is not; begins with ``named``.
    """
    if field == "timestamp" or "@timestamp" in field.split("|"):
        raise ValueError(
            f"{named}: the time of a click is no matter of conditions, but of the window; leave it out"
        )
    for place in field.split("|"):
        if not _PLACE.fullmatch(place) or not place.isprintable() or place != place.strip():
            raise ValueError(
                f"{named}: {place!r} names no field; write a name, a path (user.plan), @key, "
                "@header:NAME, or @field:NAME for a name with such signs in it"
            )


def _normal(written: object) -> Written:
    if isinstance(written, list | tuple):
        if not written:
            raise ValueError("is an empty list, which nothing is in; name a value, or leave it out")
        if len(written) > VALUES_MAX:
            raise ValueError(
                f"lists {len(written)} values, and {VALUES_MAX} are the most; a glob (/api/*) takes many"
            )
        found = tuple(map(_text, written))
        return found if len(found) > 1 else found[0]
    return _text(written)


def _text(written: object) -> str:
    text = text_of(written)
    if text is None:
        raise ValueError(
            f"{written!r:.40} is no value; write text, a number, true or false, or a list of them"
        )
    if not text:
        raise ValueError('is empty, which no value is like; "!*" is for clicks that lack the field')
    if len(text) > SIGNS_MAX:
        raise ValueError(f"has {len(text)} signs, and {SIGNS_MAX} are the most; a glob (/api/*) needs fewer")
    if not text.isprintable():
        raise ValueError(f"{text!r:.40} has signs that nobody sees; write ? for each, or * for any")
    return text


def _parsed(text: str) -> tuple[bool, Value | Glob | Range]:
    """Whether it excludes, and what."""
    excludes, rest = text.startswith("!"), text.removeprefix("!")
    if not rest or rest[0] in "! ":
        raise ValueError(f"{text!r} excludes nothing; write one value behind the !, as in '!GET'")
    if found := _COMPARISON.fullmatch(rest):
        sign, number = found.groups()
        if excludes and sign in _COMPARISONS:
            raise ValueError(f"{text!r}: a comparison cannot be excluded; write the opposite one")
        if excludes:
            raise ValueError(f"{text!r}: there is no comparison !{sign}; did you mean '!{number}'?")
        return False, _range(text)
    return excludes, _alternative(rest)


def _range(text: str) -> Range:
    bounds = []
    for part in text.split(","):
        found = _COMPARISON.fullmatch(part)
        if found is None:
            raise ValueError(f"{text!r}: {part.strip()!r} is no comparison; write one, as in '>= 400, < 500'")
        sign, written = found.groups()
        if sign not in _COMPARISONS:
            meant = _MEANT.get(sign, ">= {}").format(written)
            raise ValueError(f"{text!r}: there is no comparison {sign}; did you mean {meant!r}?")
        number = number_of(written)
        if number is None:
            raise ValueError(f"{text!r}: {written!r} is no number; write one, as in '{sign} 400'")
        bounds.append((sign, number))
    found_range = Range(tuple(bounds))
    if found_range.empty:
        raise ValueError(f"{text!r} contradicts itself, for no number is in it; turn a sign around")
    return found_range


def _alternative(text: str) -> Value | Glob:
    plain, pattern, is_glob = "", "", False
    for part in _GLOB.finditer(text):
        if part["open"]:
            raise ValueError(f"{text!r}: a [ is not closed, so that nothing fits; close it, or write \\[")
        if part["set"]:
            if "(?!)" in translate(part["set"]):
                raise ValueError(f"{text!r}: no sign is in {part['set']}; name one, or write \\[")
            is_glob, pattern = True, pattern + part["set"]
        elif part["sign"]:
            plain += part["sign"]
            pattern += f"[{part['sign']}]" if part["sign"] in "*?[" else part["sign"]
        else:
            is_glob = is_glob or part["other"] in "*?"
            plain, pattern = plain + part["other"], pattern + part["other"]
    if is_glob:
        return Glob(pattern)
    return Value(plain)
