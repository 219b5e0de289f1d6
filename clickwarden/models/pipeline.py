"""A pipeline: a folder that says which records are read, what is made of them, and who judges them."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec

from clickwarden.detection import tomlfile
from clickwarden.detection.tomllines import Path as Place
from clickwarden.errors import SettingsError
from clickwarden.models.fields import Field
from clickwarden.models.kinds import DIFFERENT, NUMERIC, OF_KEYS, WITHIN, Feature, span

#: The file of a pipeline in its folder.
FILE = "pipeline.toml"
#: A file of a pipeline is smaller.
MOST_BYTES = 256 * 1024
#: Columns that a model may see.
COLUMNS_MAX = 4096
#: What features mean. A release that means something else by the same definition has another number here.
MEANING = 1

Detector = Literal[
    "iforest", "logreg", "random_forest", "gradient_boosting", "autoencoder", "gmm", "kmeans", "ocsvm", "knn",
    "ecod", "zscore", "residual", "autoencoder_window", "half_space_trees",
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
    format: Literal["json"] = "json"
    lateness: str = "1h"
    keep: int = 256
    detector: Detector = "iforest"
    budget: float | None = None
    label: str = ""
    labels: str = ""
    severity: Literal["low", "medium", "high"] = "medium"


class Pipeline:
    """What a pipeline is, as its ``pipeline.toml`` says.

    Attributes:
        folder: that the file is in.
        name: of the pipeline: letters, digits, - and _.
        version: of the definition, for people.
        fields: what is read of a record, by name.
        features: what is made of it, in the order of the columns.
        key: the field by which records belong together; empty for a table without.
        time: the field that says when; empty for a table without.
        id: the field that names a record; empty where none does.
        topic: that the worker reads; empty where it is only for files.
        format: of the records of the topic.
        lateness: how far behind event time a record may be, milliseconds.
        keep: the latest records of a key that a window without buckets sees, at most.
        detector: by name.
        budget: alarms a day; None where nobody said.
        label: the field that says whether a record is abnormal, in files that say so; empty where none does.
        labels: the topic that says so later; empty where there is none.
        severity: of its anomalies.
    """

    def __init__(self, written: Written, folder: Path) -> None:
        """Make it of a file that :func:`parse` has checked."""
        self.folder = folder
        self.name = written.name
        self.version = written.version
        self.fields: Mapping[str, Field] = written.fields
        self.features = written.feature
        self.key = written.key
        self.time = written.time
        self.id = written.id
        self.topic = written.topic
        self.format = written.format
        self.lateness = span(written.lateness)
        self.keep = written.keep
        self.detector = written.detector
        self.budget = written.budget
        self.label = written.label
        self.labels = written.labels
        self.severity = written.severity

    @classmethod
    def load(cls, folder: Path) -> "Pipeline":
        """Read the pipeline of a folder.

        Raises:
            SettingsError: it cannot be read, or something in it is wrong; with file, line, field and cure.
        """
        path = folder / FILE
        try:
            with path.open("rb") as file:
                content = file.read(MOST_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            raise SettingsError(f"{path}: no such file; a pipeline is a folder with one:\n\n{EXAMPLE}") from None
        except OSError as error:
            raise SettingsError(f"{path}: {error.strerror}; name a folder that can be read") from None
        if len(content) > MOST_BYTES:
            raise SettingsError(f"{path}: is larger than {MOST_BYTES:,} bytes; is it another file? Name the right one")
        return cls(parse(content, str(path)), folder)

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """The columns of the features, in their order; no name twice."""
        return tuple(name for feature in self.features for name in feature.names)

    @cached_property
    def definition(self) -> dict[str, Any]:
        """All that the features depend on, as plain data with every default written out and spans in milliseconds."""
        used = {feature.field for feature in self.features if feature.field}
        keyed = any(feature.kind in OF_KEYS for feature in self.features)
        definition: dict[str, Any] = {
            "meaning": MEANING,
            "key": self.key,
            "time": self.time,
            "lateness": self.lateness if self.time else None,
            "keep": self.keep if keyed else None,
            "fields": {
                name: {"type": field.type, "step": field.step}
                for name, field in sorted(self.fields.items())
                if name in used
            },
            "features": [_plain(feature) for feature in self.features],
        }
        return definition

    @cached_property
    def definition_hash(self) -> str:
        """SHA-256 of the definition in hexadecimal: equal for pipelines with the same features of the same records."""
        encoded = msgspec.json.encode(self.definition, order="deterministic")
        return hashlib.sha256(encoded).hexdigest()


def _plain(feature: Feature) -> dict[str, Any]:
    plain: dict[str, Any] = {"kind": feature.kind, "field": feature.field}
    match feature.kind:
        case "one_hot":
            plain["vocabulary"] = list(feature.vocabulary)
        case "hash":
            plain["columns"] = feature.columns
        case "rolling":
            plain["windows"] = [span(window) for window in feature.windows]
            plain["stats"] = list(feature.stats)
            plain["bucket"] = span(feature.bucket) if feature.bucket else None
        case "since_last":
            plain["within"] = span(feature.within or WITHIN)
        case _:
            pass
    return plain


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
        tables = {"feature": Feature, "fields": Field, "": Written}
        place, fault = tomlfile.explained(str(error), tables, hint)
        raise document.fail(place, fault) from None
    for place, fault in _faults(written):
        raise document.fail(place, fault)
    return written


def _faults(written: Written) -> Iterator[tuple[Place, str]]:
    """What is wrong, and its place."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", written.name):
        yield ("name",), "name: must be 1 to 64 letters, digits, - and _; choose another"
    if written.version < 1:
        yield ("version",), "version: must be 1 or more"
    if not written.fields:
        yield ("fields",), 'fields: holds none; add one, as f0 = { type = "number" }'
    if not written.feature:
        yield (), "holds no feature; add a [[feature]] with kind and field"
    if not 1 <= written.keep <= 65_536:
        yield ("keep",), f"keep: {written.keep:,} is not 1 to 65,536; choose another number"
    try:
        span(written.lateness)
    except ValueError as error:
        yield ("lateness",), f"lateness: {error}"
    if written.budget is not None and not 0 < written.budget < 1e9:
        yield ("budget",), "budget: must be alarms a day, more than 0"
    if written.key and not written.time:
        yield ("key",), 'key: without time there is no order; add time = "…", or take the key out'
    if written.topic and not (written.key and written.time):
        yield ("topic",), "topic: what is read of one needs key and time; add them"
    for number, feature in enumerate(written.feature):
        for field, fault in _of_feature(feature, written):
            yield ("feature", number, field), f"{field}: {fault}"
    names: set[str] = set()
    for number, feature in enumerate(written.feature):
        for name in feature.names:
            if name in names:
                yield ("feature", number), f"makes {name!r}, as one before it does; take one of them out"
            names.add(name)
    if len(names) > COLUMNS_MAX:
        yield (), f"makes {len(names):,} columns, more than {COLUMNS_MAX:,}; make fewer"


def _of_feature(feature: Feature, written: Written) -> Iterator[tuple[str, str]]:
    """What is wrong with a feature among the fields, and of what."""
    if feature.field and feature.field not in written.fields:
        yield "field", f"{feature.field!r} is none of [fields]; there are {', '.join(written.fields)}"
        return
    if feature.kind in OF_KEYS:
        for needed in ("key", "time"):
            if not getattr(written, needed):
                yield "kind", f"{feature.kind!r} needs {needed}; add {needed} = \"…\" above [fields]"
    if feature.kind == "time_of_day" and not (feature.field or written.time):
        yield "kind", "'time_of_day' needs time, or a field of type time; add one"
    if not feature.field:
        return
    kind = written.fields[feature.field].type
    numeric = kind in ("number", "integer", "bool")
    if feature.kind in ("raw", "log1p") and not numeric:
        yield "field", f"{feature.kind!r} needs a number, and {feature.field!r} is of type {kind}; use one_hot or hash"
    if feature.kind in ("one_hot", "hash") and kind != "text":
        yield "field", f"{feature.kind!r} needs text, and {feature.field!r} is of type {kind}; make it text"
    if feature.kind == "time_of_day" and kind != "time":
        yield "field", f"'time_of_day' needs a time, and {feature.field!r} is of type {kind}; make it time"
    if feature.kind != "rolling":
        return
    if wrong := [stat for stat in feature.stats if stat in NUMERIC and not numeric]:
        yield "stats", f"{wrong[0]!r} needs a number, and {feature.field!r} is of type {kind}; use distinct or seen"
    if wrong := [stat for stat in feature.stats if stat in DIFFERENT and kind != "text"]:
        yield "stats", f"{wrong[0]!r} needs text, and {feature.field!r} is of type {kind}; make it text"
    if kind == "time":
        yield "field", f"'rolling' needs a number or text, and {feature.field!r} is of type time"
    if kind == "number" and written.fields[feature.field].grid is None:
        yield "field", (
            f"'rolling' needs a grid, so that sums are exact: "
            f'write {feature.field} = {{ type = "number", grid = 0.01 }}'
        )
