"""Plots of how a model did on the last part of time, as SVG."""

import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clickwarden.models.dataset import Dataset
from clickwarden.models.drift import Day
from clickwarden.models.training import Trained

BLUE, ORANGE, GREY = "#3a86d1", "#e09f3e", "#808890"
#: Dots that a plot shows: the highest scores, and some of the others.
DOTS = 2_000


def plots_of(
    trained: Trained, others: list[Trained], judged: Dataset, days: list[Day], seed: int
) -> dict[str, bytes]:
    """SVG by the file's name: scores over time, drift by day; with labels, the ROC curve and the like."""
    found = {"scores.svg": _drawn(lambda axes: _over_time(axes, trained, judged, seed))}
    if trained.judgement is not None and judged.abnormal is not None:
        abnormal = judged.abnormal
        found["roc.svg"] = _drawn(lambda axes: _roc(axes, others, abnormal))
        found["precision-recall.svg"] = _drawn(lambda axes: _pr(axes, others, abnormal))
    if len(days) > 1:
        found["drift.svg"] = _drawn(lambda axes: _drift(axes, days))
    return found


def _drift(axes: Any, days: list[Day]) -> None:
    at: Any = [datetime.fromisoformat(day.name) for day in days]
    axes.plot(at, [day.shift.max() for day in days], color=BLUE, marker=".", label="farthest feature")
    axes.plot(at, [day.missing.max() for day in days], color=ORANGE, marker=".", label="missing values")
    axes.plot(at, [day.limit for day in days], color=GREY, linestyle="--", linewidth=1, label="usual up to")
    axes.set_ylabel("population stability index")
    axes.legend(frameon=False)


def _drawn(draw: Callable[[Any], None]) -> bytes:
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    # Grey text and no background: readable on a light page and on a dark one; equal figures give equal files.
    greys = ("text.color", "axes.labelcolor", "axes.edgecolor", "grid.color", "xtick.color", "ytick.color")
    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "clickwarden", "font.size": 8}
    with plt.rc_context(style | dict.fromkeys(greys, GREY)):
        figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
        draw(axes)
        axes.grid(alpha=0.25)
        file = io.BytesIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
        plt.close(figure)
    return file.getvalue()


def _over_time(axes: Any, trained: Trained, judged: Dataset, seed: int) -> None:
    scores = trained.scores
    shown = _shown(scores, seed)
    times = judged.times
    at: Any = (
        shown
        if times is None
        else [datetime.fromtimestamp(time / 1000, UTC) for time in times[shown].tolist()]
    )
    abnormal = np.zeros(len(scores), bool) if judged.abnormal is None else judged.abnormal
    colours = np.where(abnormal[shown], ORANGE, BLUE)
    axes.scatter(at, scores[shown], s=4, c=colours, linewidths=0)
    axes.axhline(trained.threshold, color=GREY, linestyle="--", linewidth=1)
    axes.set_ylabel(
        "score; dashed the threshold" + ("; orange abnormal" if judged.abnormal is not None else "")
    )
    axes.set_xlabel("record of the last part" if times is None else "time")


def _shown(scores: NDArray[np.float32], seed: int) -> NDArray[np.int64]:
    if len(scores) <= DOTS:
        return np.arange(len(scores))
    highest = np.argsort(-scores, kind="stable")[: DOTS // 2]
    some = np.random.default_rng(seed).choice(len(scores), DOTS // 2, replace=False)
    return np.unique(np.concatenate([highest, some]))


def _roc(axes: Any, others: list[Trained], abnormal: NDArray[np.bool_]) -> None:
    from sklearn.metrics import roc_curve

    for each in others:
        false, hit, _ = roc_curve(abnormal, each.scores)
        axes.plot(false, hit, linewidth=1, label=each.detector)
    axes.set_xlabel("share of the usual records alarmed")
    axes.set_ylabel("share of the abnormal ones")
    axes.legend(frameon=False)


def _pr(axes: Any, others: list[Trained], abnormal: NDArray[np.bool_]) -> None:
    from sklearn.metrics import precision_recall_curve

    for each in others:
        precision, recall, _ = precision_recall_curve(abnormal, each.scores)
        axes.plot(recall, precision, linewidth=1, label=each.detector)
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False)
