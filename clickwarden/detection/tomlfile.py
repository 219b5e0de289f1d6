"""A TOML file that people write, read strictly: what is wrong is said with line, field and cure."""

import difflib
import re
import tomllib
from collections.abc import Mapping
from typing import Any, NamedTuple, get_args

import msgspec

from clickwarden.detection.tomllines import Path as Place
from clickwarden.detection.tomllines import line_of, lines_of
from clickwarden.errors import SettingsError

_AT = re.compile(r"(?: - at `\$(?P<place>.*)`)?\Z", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_NO_CHOICE = re.compile(r"Invalid enum value ('.*')")
_WRONG_KIND = re.compile(r"Expected `(\w+)`, got `(\w+)`")
_MISSING = re.compile(r"Object missing required field `(.*)`")
#: Python refuses to read a number of more digits, and does not say where it is.
_TOO_LONG = re.compile(r"[0-9_]{4301,}")
#: What a value is, in words.
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text in quotes",
    "bool": "true or false",
    "array": "a list in [ ]",
    "object": "a table",
    "date": "a date",
    "datetime": "a moment",
    "time": "a time of day",
}


class Document(NamedTuple):
    """What a file holds, and the line of each thing in it.

    Attributes:
        content: the document.
        lines: by place.
        name: of the file, for errors.
    """

    content: dict[str, Any]
    lines: dict[Place, int]
    name: str

    def fail(self, place: Place, fault: str) -> SettingsError:
        """What is wrong at a place, with its line, and the name of the table of an array that it is in."""
        line = line_of(self.lines, place)
        where = f"{self.name}, line {line}" if line else self.name
        tables = self.content.get(str(place[0])) if place else None
        if len(place) > 1 and isinstance(tables, list) and isinstance(number := place[1], int):
            called = tables[number].get("name") if isinstance(tables[number], dict) else None
            where += f": {place[0]} {called!r}" if isinstance(called, str) else f": {place[0]} {number + 1}"
        return SettingsError(_inert(f"{where}: {fault}"))


def document(content: bytes, name: str) -> Document:
    """The content of a file, by its name for errors.

    Raises:
        SettingsError: it is not TOML in UTF-8.
    """
    try:
        text = content.decode("utf-8-sig")  # some editors begin a file with a mark of the encoding
        found = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{name}, line {line}: is not UTF-8; write it as that") from None
    except RecursionError:
        raise SettingsError(f"{name}: is nested too deep to be read; is it another file?") from None
    except tomllib.TOMLDecodeError as error:
        at = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
        line = int(at[1]) if at and at[1] else text.rstrip().count("\n") + 1
        why = str(error)[: at.start()] if at else str(error)
        raise SettingsError(_inert(f"{name}, line {line}: is not TOML: {why}; see https://toml.io")) from None
    except ValueError:
        number = _TOO_LONG.search(text)
        line = text.count("\n", 0, number.start() if number else 0) + 1
        raise SettingsError(f"{name}, line {line}: holds a number that is too long to be read") from None
    return Document(found, lines_of(text), name)


def explained(said: str, tables: Mapping[str, type[msgspec.Struct]], hint: str) -> tuple[Place, str]:
    """The place of what cannot be, and why not in our own words.

    Args:
        said: by msgspec, which could not convert the document.
        tables: what each table of the file takes, by the last name of its place; "" is the file itself.
        hint: where more is said of what the file takes.
    """
    at = _AT.search(said)
    assert at is not None  # it matches the end of anything
    why = said[: at.start()]
    place: Place = tuple(
        int(step[1:-1]) if step.startswith("[") else step
        for step in re.findall(r"\[\d+\]|[^.\[\]]+", at["place"] or "")
    )
    table = next(
        (tables[key] for key in reversed(place) if isinstance(key, str) and key in tables), tables[""]
    )
    if unknown := _UNKNOWN.fullmatch(why):
        fields = table.__struct_fields__
        near = difflib.get_close_matches(unknown[1], fields, n=1)
        cure = f"did you mean {near[0]}?" if near else f"there are {', '.join(fields)}"
        return (*place, unknown[1]), f"{unknown[1]}: there is no such field; {cure}"
    if missing := _MISSING.fullmatch(why):
        return place, f"{missing[1]}: is missing; add it"
    field, _, fault = why.partition(": ")
    if fault and " " not in field:  # our own words
        return (*place, *field.split(".")), why
    named = next((step for step in reversed(place) if isinstance(step, str)), "the file")
    if value := _NO_CHOICE.fullmatch(why):
        types = {field.encode_name: field.type for field in msgspec.structs.fields(table)}
        if choices := _choices(types.get(named)):
            return place, f"{named}: {value[1]} must be one of {', '.join(choices)}"
    header = ".".join(step for step in place if isinstance(step, str))
    if kinds := _WRONG_KIND.fullmatch(why):
        wanted, got = kinds.groups()
        if (wanted, got) == ("array", "object") and named in tables:
            return place, f"{named}: there may be several; write [[{header}]], with two brackets"
        if (wanted, got) == ("object", "array"):
            return place, f"{named}: there is but one; write [{header}], with one bracket"
        given = "a number that is not whole" if (wanted, got) == ("int", "float") else _KINDS.get(got, got)
        return place, f"{named}: must be {_KINDS.get(wanted, wanted)}, and is {given}; {hint}"
    return place, f"{named}: {why[0].lower()}{why[1:]}; {hint}"


def _choices(kind: Any) -> tuple[str, ...]:
    """The words of a Literal, or of the first in a list, or a union, of some."""
    parts = get_args(kind)
    if all(isinstance(part, str) for part in parts):
        return parts
    return next(filter(None, map(_choices, parts)), ())


def _inert(text: str) -> str:
    """One line, with whatever a terminal would obey or hide escaped."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
