"""Some of the rows, for detectors that need not see all."""

import numpy as np

from clickwarden.models.detectors.detector import Values


def sample(values: Values, rows: int, seed: int) -> Values:
    """So many rows in their order, or all where there are no more; the same ones for the same seed."""
    if len(values) <= rows:
        return values
    return values[np.sort(np.random.default_rng(seed).choice(len(values), rows, replace=False))]
