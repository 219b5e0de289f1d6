"""``pipeline.toml``, read strictly: what it may hold, and what is wrong with one, with line and cure."""

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from clickwarden.detection import tomlfile
from clickwarden.detection.tomllines import Path as Place
from clickwarden.models.fields import Field
from clickwarden.models.kinds import DIFFERENT, NUMERIC, OF_KEYS, Feature, Kind, span

#: Columns that a model may see.
COLUMNS_MAX = 4096
#: Records of a key that may be remembered.
KEEP_MAX = 65_536

#: The types of fields that a kind of feature can be of.
_FITTING: dict[Kind, tuple[str, ...]] = {
    "raw": ("number", "integer", "bool"),
    "log1p": ("number", "integer", "bool"),
    "one_hot": ("text",),
    "hash": ("text",),
    "time_of_day": ("time",),
    "rolling": ("number", "integer", "bool", "text"),
    "since_last": (),
}

Detector = Literal[
    "iforest", "logreg", "random_forest", "gradient_boosting", "autoencoder", "gmm", "kmeans", "ocsvm", "knn",
    "ecod", "zscore", "residual", "autoencoder_window", "online",
]  # fmt: skip

EXAMPLE = """\
name = "measurements"
version = 1

[fields]
f0 = { type = "number" }

[[feature]]
kind = "raw"
field = "f0"
"""


class Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``pipeline.toml`` as it stands there; :class:`Pipeline` has the same."""

    name: str
    version: int
    fields: dict[str, Field]
    feature: tuple[Feature, ...] = ()
    key: str = ""
    time: str = ""
    id: str = ""
    topic: str = ""
    format: Literal["json", "debezium"] = "json"
    lateness: str = "1h"
    keep: int = 256
    detector: Detector = "iforest"
    budget: float | None = None
    label: str = ""
    labels: str = ""
    severity: Literal["low", "medium", "high"] = "medium"


def parse(content: bytes, name: str) -> Written:
    """What a file holds, checked.

    Args:
        content: of the file.
        name: of the file, for errors.

    Raises:
        SettingsError: it is not TOML, or something in it is wrong; with file, line, field and cure.
    """
    document = tomlfile.document(content, name)
    try:
        written = msgspec.convert(document.content, Written)
    except msgspec.ValidationError as error:
        hint = "docs/learned.md says what it takes"
        tables: dict[str, type[msgspec.Struct]] = {"feature": Feature, "fields": Field, "": Written}
        place, fault = tomlfile.explained(str(error), tables, hint)
        raise document.fail(place, fault) from None
    for place, fault in _faults(written):
        raise document.fail(place, fault)
    return written


def _faults(written: Written) -> Iterator[tuple[Place, str]]:
    """What is wrong, and its place."""
    yield from _of_values(written)
    if not written.fields:
        yield ("fields",), 'fields: holds none; add one, as f0 = { type = "number" }'
    if not written.feature:
        yield (), "holds no feature; add a [[feature]] with kind and field"
    if written.key and not written.time:
        yield ("key",), 'key: without time there is no order; add time = "…", or take the key out'
    if written.topic and not (written.key and written.time):
        yield ("topic",), "topic: what is read of one needs key and time; add them"
    for number, feature in enumerate(written.feature):
        for field, fault in _of_feature(feature, written):
            yield ("feature", number, field), f"{field}: {fault}"
    yield from _of_columns(written)


def _of_columns(written: Written) -> Iterator[tuple[Place, str]]:
    names: set[str] = set()
    for number, feature in enumerate(written.feature):
        for name in feature.names:
            if name in names:
                yield ("feature", number), f"makes {name!r}, as one before it does; take one of them out"
            names.add(name)
    if len(names) > COLUMNS_MAX:
        yield (), f"makes {len(names):,} columns, more than {COLUMNS_MAX:,}; make fewer"


def _of_values(written: Written) -> Iterator[tuple[Place, str]]:
    """What is wrong with values by themselves."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", written.name):
        yield ("name",), "name: must be 1 to 64 letters, digits, - and _; choose another"
    if written.version < 1:
        yield ("version",), "version: must be 1 or more"
    if not 1 <= written.keep <= KEEP_MAX:
        yield ("keep",), f"keep: {written.keep:,} is not 1 to {KEEP_MAX:,}; choose another number"
    if written.budget is not None and not 0 < written.budget < 1e9:
        yield ("budget",), "budget: must be alarms a day, more than 0"
    try:
        span(written.lateness)
    except ValueError as error:
        yield ("lateness",), f"lateness: {error}"


def _of_feature(feature: Feature, written: Written) -> Iterator[tuple[str, str]]:
    """What is wrong with a feature among the fields, and of what."""
    if feature.kind in OF_KEYS:
        for needed in ("key", "time"):
            if not getattr(written, needed):
                yield "kind", f'{feature.kind!r} needs {needed}; add {needed} = "…" above [fields]'
    if feature.kind == "time_of_day" and not (feature.field or written.time):
        yield "kind", "'time_of_day' needs time, or a field of type time; add one"
    if not feature.field:
        return
    if feature.field not in written.fields:
        yield "field", f"{feature.field!r} is none of [fields]; there are {', '.join(written.fields)}"
        return
    if fault := _unfit(feature, written.fields[feature.field]):
        yield fault


def _unfit(feature: Feature, field: Field) -> tuple[str, str] | None:
    """Why a feature cannot be of a field; None where it can."""
    fitting = _FITTING[feature.kind]
    if field.type not in fitting:
        return "field", (
            f"{feature.kind!r} needs one of type {' or '.join(fitting)}, and {feature.field!r} is of type "
            f"{field.type}; name another"
        )
    wrong = NUMERIC if field.type == "text" else DIFFERENT
    if unfit := [stat for stat in feature.stats if stat in wrong]:
        return (
            "stats",
            (f"{unfit[0]!r} cannot be of {feature.field!r}, which is of type {field.type}; take it out"),
        )
    if feature.kind == "rolling" and field.type == "number" and field.grid is None:
        return "field", (
            f"windows of {feature.field!r} need a grid, so that sums are exact: "
            f'write {feature.field} = {{ type = "number", grid = 0.01 }}'
        )
    return None
