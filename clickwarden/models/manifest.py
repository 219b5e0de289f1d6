"""What is known of a trained model, beside the model itself: ``manifest.json``."""

import hashlib
from typing import Any, Literal

import msgspec

from clickwarden.errors import ModelError
from clickwarden.models.calibration import Calibration
from clickwarden.models.drift import Expected

#: Of the file: what a release writes, and the only one that it takes.
LAYOUT = 1


class Usual(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a feature usually is, in the part that the model has learnt from.

    Attributes:
        low: below it are 5 % of the values.
        median: the middle one.
        high: above it are 5 % of the values.
        width: by which distances from the median are measured.
        missing: the share of records without a value.
    """

    low: float
    median: float
    high: float
    width: float
    missing: float


class Golden(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row, and the score that it must have before the model may serve.

    Attributes:
        values: of each feature; None where missing.
        score: what the model gave when it was trained.
    """

    values: tuple[float | None, ...]
    score: float


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model was trained with.

    Attributes:
        sha256: of the file.
        records: how many it held.
        aside: how many of them were set aside, by why.
        learnt: of the others, how many the model has learnt from.
        first: the earliest moment of the others, ISO-8601; empty where records have no time.
        last: the latest moment of them.
    """

    sha256: str
    records: int
    aside: dict[str, int]
    learnt: int
    first: str
    last: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A trained model, as ``manifest.json`` describes it.

    Attributes:
        layout: of this file.
        release: of Clickwarden that has written it.
        pipeline: its name.
        pipeline_version: as its ``pipeline.toml`` had it.
        detector: by name.
        seed: of all chance in the training.
        trained: when, ISO-8601.
        definition: of the features.
        definition_hash: SHA-256 of it.
        features: the columns of the model.
        model_sha256: of ``model.onnx``.
        threshold: a record with at least this score is an anomaly.
        threshold_by: from an alarm budget, or from labels.
        share: of the records that are to be alarmed; None where the threshold is from labels.
        calibration: for p-values.
        usual: of each feature.
        expected: how each feature was distributed, for drift.
        golden: rows and their scores.
        data: that it was trained with.
        libraries: versions of what it was trained with.
        metrics: on the last part of time; empty without labels but for the alarms.
        thresholds: by key, of those series that have one of their own in place of ``threshold``.
    """

    layout: int
    release: str
    pipeline: str
    pipeline_version: int
    detector: str
    seed: int
    trained: str
    definition: dict[str, Any]
    definition_hash: str
    features: tuple[str, ...]
    model_sha256: str
    threshold: float
    threshold_by: Literal["budget", "labels"]
    share: float | None
    calibration: Calibration
    usual: tuple[Usual, ...]
    expected: tuple[Expected, ...]
    golden: tuple[Golden, ...]
    data: Data
    libraries: dict[str, str]
    metrics: dict[str, float | None]
    thresholds: dict[str, float] = {}

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits: equal for the same model with the same thresholds."""
        own = "".join(f"\0{key}\0{threshold!r}" for key, threshold in sorted(self.thresholds.items()))
        told = f"{self.model_sha256} {self.threshold!r}{own}"
        return hashlib.sha256(told.encode()).hexdigest()[:12]


class _Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file: a manifest, and SHA-256 of it without white space between."""

    manifest: msgspec.Raw
    sha256: str


class _Layout(msgspec.Struct):
    layout: int


class _Peek(msgspec.Struct):
    manifest: _Layout


def encoded(manifest: Manifest) -> bytes:
    """The content of the file."""
    content = msgspec.json.encode(manifest)
    return msgspec.json.format(msgspec.json.encode(_Sealed(msgspec.Raw(content), _seal(content))), indent=1)


def decoded(content: bytes) -> Manifest:
    """The manifest of a file's content.

    Raises:
        ModelError: it is none, another release's, or not as it was written.
    """
    try:
        layout = msgspec.json.decode(content, type=_Peek).manifest.layout
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise ModelError("manifest.json is cut off, or none of ours") from None
    if layout != LAYOUT:
        age = "a newer" if layout > LAYOUT else "an older"
        raise ModelError(f"manifest.json is of {age} release (layout {layout}, and this one takes {LAYOUT})")
    try:
        sealed = msgspec.json.decode(content, type=_Sealed)
        if sealed.sha256 != _seal(bytes(sealed.manifest)):
            raise ModelError("manifest.json is not as it was written: its SHA-256 differs")
        return msgspec.json.decode(sealed.manifest, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"manifest.json is none of ours: {error}") from None


def _seal(content: bytes) -> str:
    return hashlib.sha256(msgspec.json.format(content, indent=-1)).hexdigest()
