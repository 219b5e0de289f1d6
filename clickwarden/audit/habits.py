"""What a key's own records were, as an anomaly of one of them says it: held against the record's features."""

import math
from collections.abc import Mapping, Sequence
from typing import Any


def own_of(definition: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Sequence[str]]:
    """Of columns that are of a number: the window, and the columns of mean, deviation and count of their key.

    Those of the longest window of the same field that has a mean; empty text where a column is not there.
    """
    kinds: list[tuple[str, str, int, int]] = []
    for place, feature in enumerate(definition["features"]):
        kind, field = feature["kind"], feature["field"]
        if kind == "rolling":
            kinds += [
                (stat, field, window, place) for window in feature["windows"] for stat in feature["stats"]
            ]
        else:
            several = {
                "one_hot": len(feature.get("vocabulary", ())) + 1,
                "hash": feature.get("columns", 1),
                "time_of_day": 2,
            }
            kinds += [(kind, field, 0, place)] * several.get(kind, 1)
    named = dict(zip(kinds, columns, strict=True))
    found: dict[str, Sequence[str]] = {}
    for (kind, field, _, _), column in zip(kinds, columns, strict=True):
        if kind not in ("raw", "log1p", "ratio"):
            continue
        means = [(window, -place) for stat, of, window, place in kinds if (stat, of) == ("mean", field)]
        if means:
            window, place = max(means)
            of = [named.get((stat, field, window, -place), "") for stat in ("mean", "std", "count")]
            found[column] = of[0].rpartition(".mean.")[2], *of
    return found


def wrong(cause: Mapping[str, Any], own: Mapping[str, Sequence[str]], values: Mapping[str, float]) -> str:
    """What of a cause is not what the record's features say of its key; empty where all is.

    Args:
        cause: as it was told.
        own: as :func:`own_of` says.
        values: of the record, by column.
    """
    window, *columns = own.get(cause["feature"], ("", "", "", ""))
    expected: dict[str, Any] = {"key_window": window}
    for name, column in zip(("key_mean", "key_std", "key_count"), columns, strict=True):
        value = values.get(column, math.nan)
        expected[name] = value if math.isfinite(value) else None
    for name, known in expected.items():
        if cause.get(name) != known:
            return f"expected {name} {known!r} of {cause['feature']}, found {cause.get(name)!r}"
    return ""
