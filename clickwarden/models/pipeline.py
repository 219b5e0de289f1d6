"""A pipeline: a folder that says which records are read, what is made of them, and who judges them."""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from clickwarden.errors import SettingsError
from clickwarden.models.fields import Field
from clickwarden.models.kinds import OF_KEYS, WITHIN, Feature, span
from clickwarden.models.pipelinefile import EXAMPLE, Written, parse

#: The file of a pipeline in its folder.
FILE = "pipeline.toml"
#: A file of a pipeline is smaller.
MOST_BYTES = 256 * 1024
#: What features mean. A release that means something else by the same definition has another number here.
MEANING = 1


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
            raise SettingsError(
                f"{path}: no such file; a pipeline is a folder with one:\n\n{EXAMPLE}"
            ) from None
        except OSError as error:
            raise SettingsError(f"{path}: {error.strerror}; name a folder that can be read") from None
        if len(content) > MOST_BYTES:
            raise SettingsError(
                f"{path}: is larger than {MOST_BYTES:,} bytes; is it another file? Name the right one"
            )
        return cls(parse(content, str(path)), folder)

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """The columns of the features, in their order; no name twice."""
        return tuple(name for feature in self.features for name in feature.names)

    @cached_property
    def longest(self) -> int:
        """Milliseconds of the longest window; 0 where there is none."""
        spans = (
            written
            for feature in self.features
            if feature.kind in OF_KEYS
            for written in feature.windows or (feature.within or WITHIN,)
        )
        return max(map(span, spans), default=0)

    @cached_property
    def definition(self) -> dict[str, Any]:
        """All that the features depend on, as plain data: defaults written out, spans in milliseconds."""
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
        if self.format != "json":
            definition["format"] = self.format
        return definition

    @cached_property
    def numbers(self) -> frozenset[str]:
        """The fields that features take for numbers."""
        fields = self.definition["fields"].items()
        return frozenset(name for name, field in fields if field["type"] in ("number", "integer"))

    @cached_property
    def definition_hash(self) -> str:
        """SHA-256 of the definition, in hexadecimal."""
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
