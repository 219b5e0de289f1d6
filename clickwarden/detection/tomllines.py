"""Where what a TOML document holds stands in it; ``tomllib`` says that of what it cannot read alone."""

import re
from collections.abc import Sequence

#: Of a value: its keys and its places in arrays, from the outside in.
Path = tuple[str | int, ...]

_LONG = re.compile(r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'', re.DOTALL)
_QUIET = re.compile(r'"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*')
_TABLE = re.compile(r"\s*(\[\[?)([^\[\]]+)\]")
_KEY = re.compile(r"\s*([\w.\"'-][\w.\s\"'-]*?)\s*=")


def lines_of(document: str) -> dict[Path, int]:
    r"""The line, from 1, of each table, and of each key in one, of a document that is TOML.

    >>> lines_of('[[rule]]\nevents = [\n  "view",\n]\n\n[[rule.test]]\nname = "one"')
    {('rule', 0): 1, ('rule', 0, 'events'): 2, ('rule', 0, 'test', 0): 6, ('rule', 0, 'test', 0, 'name'): 7}
    """
    lines: dict[Path, int] = {}
    newest: dict[Path, int] = {}  # place of the newest table of an array
    table: Path = ()
    depth = 0
    # Without what is written over several lines, of which some may look like keys.
    short = _LONG.sub(lambda found: '""' + "\n" * found[0].count("\n"), document)
    for number, line in enumerate(short.split("\n"), 1):
        if not depth:
            if header := _TABLE.match(line):
                table = _table(_keys(header[2]), header[1] == "[[", newest)
                lines[table] = number
                continue
            if key := _KEY.match(line):
                lines[table + _keys(key[1])] = number
        loud = _QUIET.sub("", line)
        depth += sum(map(loud.count, "[{")) - sum(map(loud.count, "]}"))
    return lines


def line_of(lines: dict[Path, int], path: Sequence[str | int]) -> int | None:
    """The line of a value, or of the first thing in it, or of the nearest around it; None: the document."""
    at = tuple(path)
    while at:
        if within := [line for place, line in lines.items() if place[: len(at)] == at]:
            return min(within)
        at = at[:-1]
    return None


def _keys(dotted: str) -> Path:
    return tuple(key.strip().strip("\"'") for key in dotted.split("."))


def _table(keys: Path, one_more: bool, newest: dict[Path, int]) -> Path:
    table: Path = ()
    for place, key in enumerate(keys):
        table += (key,)
        if one_more and place == len(keys) - 1:
            newest[table] = newest.get(table, -1) + 1
        if table in newest:
            table += (newest[table],)
    return table
