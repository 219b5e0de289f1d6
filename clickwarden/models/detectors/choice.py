"""Detectors by name, each imported when it is chosen."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType

from clickwarden.errors import SettingsError
from clickwarden.models.detectors.detector import Abnormal, Detector, Values

_CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "iforest": "Isolation",
        "logreg": "Logistic",
        "random_forest": "Forest",
        "gradient_boosting": "Boosting",
        "autoencoder": "Autoencoder",
        "gmm": "Mixture",
        "kmeans": "Clusters",
        "ocsvm": "Boundary",
        "knn": "Neighbours",
        "ecod": "Tails",
        "zscore": "Deviation",
        "residual": "Residual",
        "autoencoder_window": "WindowAutoencoder",
    }
)
_MODULES = {"gradient_boosting": "boosting"}
NAMES = tuple(_CLASSES)
#: Those that look at time series.
SERIES = ("residual", "autoencoder_window")


def detector_of(name: str, seed: int, columns: Sequence[str]) -> Detector:
    """A detector that has learnt nothing yet, for rows with columns of these names.

    Raises:
        SettingsError: there is none of this name, or scikit-learn or onnx is not installed.
    """
    if name not in _CLASSES:
        raise SettingsError(f"detector: {name!r} is none of {', '.join(NAMES)}; choose one of them")
    try:
        module = import_module(f"clickwarden.models.detectors.{_MODULES.get(name, name)}")
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise SettingsError(
            f"{package} is missing, which training needs: pip install 'clickwarden[learn]' "
            "(where the checkout is: pip install '.[learn]')"
        ) from None
    made: Detector = getattr(module, _CLASSES[name])(seed, columns)
    return made


def learn(detector: Detector, values: Values, abnormal: Abnormal | None) -> bytes:
    """Have a detector learn from rows as the features give them; the ONNX model that scores such rows.

    Args:
        detector: that has learnt nothing yet.
        values: float32[n, d], NaN where missing.
        abnormal: bool[n], the labels of a supervised one.
    """
    from clickwarden.models.detectors.cleaning import Cleaning
    from clickwarden.models.detectors.graph import VALUES, Graph

    cleaning = Cleaning.of(values)
    detector.fit(cleaning(values), abnormal)
    graph = Graph(values.shape[1])
    return graph.build(detector.draw(graph, cleaning.draw(graph, VALUES)))
