"""A trained model in the folder of its pipeline: ``model/`` with ``model.onnx`` and ``manifest.json``."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from clickwarden import zstd
from clickwarden.errors import ModelError, SettingsError
from clickwarden.models import manifest as manifests
from clickwarden.models.manifest import Golden, Manifest
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.session import Session

FOLDER, MODEL, MANIFEST = "model", "model.onnx", "manifest.json"
#: Where the next one is written, and where the one before is until that is in place.
FRESH, FORMER = f"{FOLDER}.new", f"{FOLDER}.old"
#: How far a golden row's score may be off on another machine, of its magnitude or of 1.
NEAR = 1e-4
#: A file of a model is smaller.
MOST_BYTES = 1 << 30


class Model(NamedTuple):
    """A model that has shown that it is what its manifest says.

    Attributes:
        manifest: what is known of it.
        session: which scores.
    """

    manifest: Manifest
    session: Session


def save(pipeline: Pipeline, model: bytes, manifest: Manifest, reports: Mapping[str, bytes]) -> Path:
    """Put a model into its pipeline's folder, in place of the one that is there; the folder.

    Raises:
        SettingsError: it cannot be written.
        ModelError: as it is written it cannot be loaded; the one that is there stays.
    """
    folder = pipeline.folder / FOLDER
    fresh, former = folder.with_name(FRESH), folder.with_name(FORMER)
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        for name, content in {**reports, MODEL: model, MANIFEST: manifests.encoded(manifest)}.items():
            (fresh / name).write_bytes(content)
        try:
            verified(pipeline, _read(fresh / MANIFEST), _read(fresh / MODEL))
        except ModelError as error:
            shutil.rmtree(fresh, ignore_errors=True)
            raise ModelError(
                f"{folder}: what was trained cannot be loaded, and is not kept: {error}; that is our fault, "
                "please report it with your pipeline.toml"
            ) from None
        if folder.exists():  # else the former is all there is, until the fresh one is in its place
            shutil.rmtree(former, ignore_errors=True)
            folder.rename(former)
        fresh.rename(folder)
        shutil.rmtree(former, ignore_errors=True)
    except OSError as error:
        raise SettingsError(
            f"{folder}: cannot be written: {error.strerror}; give it room and rights"
        ) from None
    return folder


def packed(pipeline: Pipeline) -> bytes:
    """The model of a pipeline's folder as one piece, as it is; :func:`unpacked` verifies it.

    Raises:
        ModelError: there is none.
    """
    folder = pipeline.folder / FOLDER
    return _piece(_read(folder / MANIFEST), _read(folder / MODEL))


def piece(manifest: Manifest, model: bytes) -> bytes:
    """A model as one piece, which is in no folder."""
    return _piece(manifests.encoded(manifest), model)


def _piece(manifest: bytes, model: bytes) -> bytes:
    return zstd.compress(msgspec.msgpack.encode((manifest, model)), 3)


def unpacked(pipeline: Pipeline, content: bytes) -> Model:
    """A model of one piece, once it is verified as :func:`load` does.

    Raises:
        ModelError: it is not what it says, or not of this pipeline; in one sentence.
        SettingsError: onnxruntime is not installed.
    """
    try:
        manifest, model = msgspec.msgpack.decode(zstd.decompress(content), type=tuple[bytes, bytes])
    except (zstd.ZstdError, msgspec.DecodeError) as error:
        raise ModelError(f"is cut off, or none of ours: {error}") from None
    return verified(pipeline, manifest, model)


def trained(pipeline: Pipeline) -> bool:
    """Whether there is a model in the folder of a pipeline, be it good or not."""
    return any((pipeline.folder / name).exists() for name in (FOLDER, FORMER))


def load(pipeline: Pipeline) -> Model:
    """The model of a pipeline, once its hashes, its features and its golden rows are verified.

    Raises:
        ModelError: there is none, or it is not what it says, or not of this pipeline; in one sentence.
        SettingsError: onnxruntime is not installed.
    """
    folder = pipeline.folder / FOLDER
    former = folder.with_name(FORMER)
    if not folder.exists() and former.exists():  # who was to put another in its place did not get to the end
        folder = former
    content, model = _read(folder / MANIFEST), _read(folder / MODEL)
    try:
        return verified(pipeline, content, model)
    except ModelError as error:
        raise ModelError(f"{folder}: {error}; train it again: faust -A app train {pipeline.folder}") from None


def verified(pipeline: Pipeline, content: bytes, model: bytes) -> Model:
    """The same, of the content of both files.

    Raises:
        ModelError: it is not what it says, or not of this pipeline.
    """
    manifest = manifests.decoded(content)
    if manifest.pipeline != pipeline.name:
        raise ModelError(f"is of pipeline {manifest.pipeline!r}, and this one is {pipeline.name!r}")
    if manifest.definition_hash != pipeline.definition_hash:
        raise ModelError("was trained with other features than pipeline.toml defines")
    if manifest.features != pipeline.feature_names or {len(manifest.usual), len(manifest.expected)} != {
        len(manifest.features)
    }:
        raise ModelError("has other columns than pipeline.toml defines")
    if hashlib.sha256(model).hexdigest() != manifest.model_sha256:
        raise ModelError(f"{MODEL} is not the one that manifest.json describes: its SHA-256 differs")
    session = Session(model)
    if session.columns != len(manifest.features):
        raise ModelError(
            f"{MODEL} takes {session.columns} columns, and there are {len(manifest.features)} features"
        )
    _replay(session, manifest.golden)
    return Model(manifest, session)


def _replay(session: Session, golden: tuple[Golden, ...]) -> None:
    if not golden or any(len(row.values) != session.columns for row in golden):
        raise ModelError("manifest.json has no golden rows of its columns")
    scores = session.score(rows_of(golden))
    expected = np.array([row.score for row in golden])
    if not np.allclose(scores, expected, rtol=NEAR, atol=NEAR):
        worst = int(np.argmax(np.abs(scores - expected)))
        raise ModelError(
            f"gives a golden row the score {scores[worst]:g}, and when it was trained {expected[worst]:g}"
        )


def rows_of(golden: tuple[Golden, ...]) -> NDArray[np.float32]:
    """float32[n, d], the values of golden rows."""
    return np.array([[np.nan if each is None else each for each in row.values] for row in golden], np.float32)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ModelError(f"{path}: is larger than {MOST_BYTES:,} bytes; it is no model of ours")
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelError(
            f"{path}: no such file; train a model first: faust -A app train {path.parent.parent} --data FILE"
        ) from None
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; make it readable") from None
