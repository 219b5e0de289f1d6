"""Labels: which users are bots, as somebody knows it; and how well what was told agrees with it."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from clickwarden.errors import SettingsError

#: What the column, or field, is called that says who, and the one that says what.
USER = ("user_id", "user", "client", "ip")
LABEL = ("label", "is_bot", "bot", "class")
#: What is said of a user.
BOT = ("1", "true", "yes", "bot")
HONEST = ("0", "false", "no", "human")
DELIMITERS = ",;\t|"


class Score(msgspec.Struct):
    """How well what was told agrees with the labels.

    Attributes:
        found: bots that were reported.
        missed: bots with clicks that were not.
        false_alarms: users who are none, and were.
        unknown: users who were, and of whom the labels say nothing.
        precision: the part of those reported that are bots; None where nobody was reported.
        recall: the part of the bots with clicks that were reported; None where there are none.
        f1: the harmonic mean of the two; None where it has none.
    """

    found: int
    missed: int
    false_alarms: int
    unknown: int
    precision: float | None
    recall: float | None
    f1: float | None


class Labels:
    """What is known of users.

    Where nobody is labelled as honest, the labels are a list of bots, and who is not on it is honest.
    Else nothing is known of who is not on it.

    Args:
        bots: by user, whether it is one.

    Attributes:
        bots, honest: the users that are on it.
        seen: bots that had clicks.
    """

    def __init__(self, bots: dict[str, bool]) -> None:
        self.bots = {user for user, is_bot in bots.items() if is_bot}
        self.honest = bots.keys() - self.bots
        self.seen: set[str] = set()

    def see(self, users: Iterable[str]) -> None:
        """Take note of users who have clicks."""
        self.seen.update(self.bots.intersection(users))

    def score(self, reported: set[str]) -> Score:
        """Hold the users who were reported against the labels.

        >>> labels = Labels({"eve": True, "mallory": True, "ann": False})
        >>> labels.see(["eve", "mallory", "ann", "bob"])
        >>> score = labels.score({"eve", "ann", "bob"})
        >>> score.precision, score.recall, score.f1, score.unknown
        (0.5, 0.5, 0.5, 1)
        """
        found = len(reported & self.bots)
        alarms = reported & self.honest if self.honest else reported - self.bots
        judged, wanted = found + len(alarms), len(self.seen)
        return Score(
            found,
            wanted - found,
            len(alarms),
            len(reported) - judged,
            found / judged if judged else None,
            found / wanted if wanted else None,
            2 * found / (judged + wanted) if judged and wanted else None,
        )


def read(path: Path, names: Sequence[str]) -> Labels:
    """The labels of a file: CSV with a header, NDJSON, or a list of bots, one a line.

    Args:
        path: of the file.
        names: what the field of the user may be called, beside :data:`USER`.

    Raises:
        SettingsError: it cannot be read, or a line is wrong; with file, line and cure.
    """
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not UTF-8; write it as that") from None
    known: dict[str, tuple[int, bool]] = {}
    for number, user, said in _rows(path, text.splitlines(), [*names, *USER]):
        if not user:
            raise SettingsError(f"{path}, line {number}: names no user; write one, or remove the line")
        word = said.strip().lower()
        if word and word not in BOT + HONEST:
            raise SettingsError(
                f"{path}, line {number}: {said!r:.80} is no label: write {', '.join(BOT)} for a bot and "
                f"{', '.join(HONEST)} for who is none"
            )
        if not word:
            continue  # nobody knows
        before, bot = known.setdefault(user, (number, word in BOT))
        if bot != (word in BOT):
            raise SettingsError(
                f"{path}, line {number}: {user!r:.80} is labelled otherwise than on line {before}; leave "
                "one of the two"
            )
    if not any(bot for _, bot in known.values()):
        raise SettingsError(f"{path}: labels nobody as a bot; a list of bots has one a line")
    return Labels({user: bot for user, (_, bot) in known.items()})


def _rows(path: Path, lines: Sequence[str], names: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """Line, user, and what is said of it; ``bot`` where the file is a list of them."""
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        return
    first = numbered[0][1]
    if first.lstrip().startswith("{"):
        yield from _objects(path, numbered, names)
        return
    for delimiter in DELIMITERS:
        header = [name.strip().lower() for name in next(csv.reader([first], delimiter=delimiter))]
        user = _place(header, names)
        if user is not None:
            label = _place(header, LABEL)
            if label is None and len(header) > 1:
                raise SettingsError(
                    f"{path}, line {numbered[0][0]}: no column is called {' or '.join(LABEL)}; call the one "
                    "with the labels so, or leave all but the users out of a list of bots"
                )
            rows = csv.reader((line for _, line in numbered[1:]), delimiter=delimiter)
            for (number, _), row in zip(numbered[1:], rows, strict=False):
                said = "bot" if label is None else row[label] if label < len(row) else ""
                yield number, row[user].strip() if user < len(row) else "", said
            return
        if len(header) > 1:
            raise SettingsError(
                f"{path}, line {numbered[0][0]}: has several columns, and none is called "
                f"{' or '.join(dict.fromkeys(names))}; write a header that says which has the user, and "
                f"{LABEL[0]} above the labels"
            )
    yield from ((number, line.strip(), "bot") for number, line in numbered)


def _place(header: Sequence[str], names: Sequence[str]) -> int | None:
    return next((header.index(name.lower()) for name in names if name.lower() in header), None)


def _objects(
    path: Path, numbered: Sequence[tuple[int, str]], names: Sequence[str]
) -> Iterator[tuple[int, str, str]]:
    for number, line in numbered:
        try:
            found = json.loads(line)
            user = next(found[name] for name in names if name in found)
        except (ValueError, RecursionError, TypeError, StopIteration):
            raise SettingsError(
                f"{path}, line {number}: is no JSON object with {' or '.join(dict.fromkeys(names))}; in "
                "NDJSON each line is one"
            ) from None
        said = next((found[name] for name in LABEL if name in found), "bot" if len(found) == 1 else None)
        if said is None and not set(LABEL).intersection(found):
            raise SettingsError(
                f"{path}, line {number}: has no field called {' or '.join(LABEL)}; call the one with the "
                "label so, or leave all but the user out of a list of bots"
            )
        yield number, "" if user is None else str(user), "" if said is None else str(said)
