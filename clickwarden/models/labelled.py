"""What labels that come later say of a pipeline's alarms: live precision and recall."""

from collections import OrderedDict
from typing import Any

import msgspec

from clickwarden.detection.anomaly import ScoredRecord
from clickwarden.models.fields import text
from clickwarden.models.labels import COLUMNS, abnormal
from clickwarden.models.pipeline import Pipeline

#: So many ids are remembered each, the newest: of what was alarmed, labelled abnormal, and labelled usual.
KEEP = 50_000
#: A label that is longer is none.
BYTES = 64 * 1024


class Precision(msgspec.Struct):
    """How often a model was right, of the alarms that are remembered.

    Attributes:
        version: of the model.
        alarms: of records with an id.
        confirmed: those labelled abnormal.
        refuted: those labelled usual.
        precision: confirmed, of those with a label; None where none has one.
    """

    version: str
    alarms: int = 0
    confirmed: int = 0
    refuted: int = 0
    precision: float | None = None


class Labelled(msgspec.Struct):
    """What the labels that are remembered say.

    Attributes:
        abnormal: records labelled so.
        usual: records labelled so.
        found: those of the abnormal that a champion alarmed.
        recall: found, of the abnormal; None where there are none.
        models: champions and challengers, by version.
    """

    abnormal: int = 0
    usual: int = 0
    found: int = 0
    recall: float | None = None
    models: list[Precision] = []


class Label(msgspec.Struct, frozen=True):
    """That the record with an id is abnormal, or usual; or, by None, nothing any more."""

    id: str
    abnormal: bool | None


def label_of(pipeline: Pipeline, key: bytes | None, value: bytes | None) -> Label | None:
    """The label that a record is; None where it is none.

    Its key is the id of the record that it is of, or else a field of its value is. The value is JSON, with
    the label in the field that ``label`` of the pipeline names, or in one usual for it; or it is the label
    itself. A record without a value takes back what was said.
    """
    if value is not None and len(value) > BYTES:
        return None
    held: Any = None
    if value is not None:
        try:
            held = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            held = value.decode(errors="replace")
    name = None if key is None else text(key.decode(errors="replace"))
    if isinstance(held, dict):
        name = name or text(held.get(pipeline.id))
        field = next((each for each in (pipeline.label, *COLUMNS) if each and each in held), None)
        if field is None:
            return None
        held = held[field]
    if not name or isinstance(held, list):
        return None
    return Label(name, None if value is None else bool(abnormal([text(held)])[0]))


class KnownLabels:
    """The newest alarms and labels of a pipeline, in whatever order they come; each of an id counts once."""

    def __init__(self, keep: int = KEEP) -> None:
        self._keep = keep
        self._alarms: OrderedDict[str, dict[str, bool]] = OrderedDict()
        self._labels: dict[bool, OrderedDict[str, None]] = {True: OrderedDict(), False: OrderedDict()}
        self._models: dict[str, Precision] = {}
        self._found = 0

    @property
    def labelled(self) -> Labelled:
        """What they say now."""
        usual, wrong = (len(self._labels[each]) for each in (False, True))
        recall = round(self._found / wrong, 4) if wrong else None
        models = [model for _, model in sorted(self._models.items()) if model.alarms]
        for model in models:
            said = model.confirmed + model.refuted
            model.precision = round(model.confirmed / said, 4) if said else None
        return Labelled(wrong, usual, self._found, recall, models)

    def alarm(self, scored: ScoredRecord, *, shadow: bool) -> None:
        """Learn that a model alarmed a record; of a repeat, nothing."""
        if scored.record_id is None:
            return
        self._count(scored.record_id, -1)
        versions = self._alarms.setdefault(scored.record_id, {})
        versions[scored.version] = versions.get(scored.version, False) or not shadow
        self._alarms.move_to_end(scored.record_id)
        self._count(scored.record_id, 1)
        if len(self._alarms) > self._keep:
            oldest = next(iter(self._alarms))
            self._count(oldest, -1)
            del self._alarms[oldest]

    def label(self, label: Label) -> None:
        """Learn what a record is; what was said of it before holds no more."""
        self._count(label.id, -1)
        for each in self._labels.values():
            each.pop(label.id, None)
        if label.abnormal is not None:
            self._labels[label.abnormal][label.id] = None
        self._count(label.id, 1)
        for each in self._labels.values():
            if len(each) > self._keep:
                oldest = next(iter(each))
                self._count(oldest, -1)
                del each[oldest]
                self._count(oldest, 1)

    def _count(self, id: str, more: int) -> None:
        """Have what is known of a record counted, or no longer."""
        versions = self._alarms.get(id)
        if not versions:
            return
        for version in versions:
            model = self._models.setdefault(version, Precision(version))
            model.alarms += more
            model.confirmed += more * (id in self._labels[True])
            model.refuted += more * (id in self._labels[False])
        self._found += more * (any(versions.values()) and id in self._labels[True])
