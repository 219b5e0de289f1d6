"""What is usual for a record's own key, as far as other columns of the same record say so."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

#: Kinds whose columns are of one value of a field; of ``rolling`` it is only the ratio.
_ALONE = ("raw", "log1p")


class Habit(NamedTuple):
    """Where a row has what a field was before, among the records of its key.

    Attributes:
        window: how far back, as in the columns' names.
        mean: column of it.
        std: column of it; None where there is none.
        number: column of how many records that were; None where there is none.
    """

    window: str
    mean: int
    std: int | None
    number: int | None


def habits(definition: Mapping[str, Any], columns: Sequence[str]) -> list[Habit | None]:
    """For each column what the same field was before: of the longest window with a mean, or None.

    Args:
        definition: of the features, as the pipeline has it.
        columns: their names, in the same order.
    """
    whose: list[str | None] = []
    longest: dict[str, tuple[int, Habit]] = {}
    for feature in definition["features"]:
        field, first = feature["field"], len(whose)
        match feature["kind"]:
            case "rolling":
                stats = feature["stats"]
                whose += [field if stat == "ratio" else None for stat in stats] * len(feature["windows"])
                for place, window in enumerate(feature["windows"]):
                    at = {stat: first + place * len(stats) + index for index, stat in enumerate(stats)}
                    if "mean" in at and window > longest.get(field, (0,))[0]:
                        name = columns[at["mean"]].removeprefix(f"{field}.mean.")
                        habit = Habit(name, at["mean"], at.get("std"), at.get("count"))
                        longest[field] = window, habit
            case "one_hot":
                whose += [None] * (len(feature["vocabulary"]) + 1)
            case "hash":
                whose += [None] * feature["columns"]
            case "time_of_day":
                whose += [None, None]
            case kind:
                whose.append(field if kind in _ALONE else None)
    known = {field: habit for field, (_, habit) in longest.items()}
    return [known.get(field) if field else None for field in whose]
