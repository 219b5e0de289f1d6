"""Scores of an ONNX model."""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clickwarden.errors import ModelError, SettingsError

#: Rows that are scored at once.
ROWS = 2048
#: A run is filled up to so many rows: a kernel for fewer adds up in another order, and last digits differ.
LEAST = 16


class Session:
    """A model that scores, on one thread; a row's score depends on that row alone, bit by bit."""

    def __init__(self, model: bytes) -> None:
        """Load it.

        Raises:
            ModelError: it is no ONNX model that the runtime can run.
            SettingsError: onnxruntime is not installed.
        """
        # Before it is loaded: else it tells Microsoft what it runs, and keeps an id of the device.
        # https://github.com/microsoft/onnxruntime/pull/27379
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        try:
            import onnxruntime
        except ModuleNotFoundError:
            raise SettingsError(
                "onnxruntime is missing, which scoring needs: pip install 'clickwarden[serve]' "
                "(where the checkout is: pip install '.[serve]')"
            ) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session: Any = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
            self.columns = int(self._session.get_inputs()[0].shape[1])
        except Exception as error:  # the runtime's own have no common base
            raise ModelError(
                f"is no model that onnxruntime can run: {str(error).splitlines()[0]:.200}"
            ) from None

    def score(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32[n] of float32[n, d]; higher is more abnormal. None is NaN or infinite."""
        scores = np.empty(len(values), np.float32)
        for first in range(0, len(values), ROWS):
            part = values[first : first + ROWS]
            missing = LEAST - len(part)
            whole = part if missing <= 0 else np.pad(part, ((0, missing), (0, 0)))
            found = self._session.run(None, {"values": whole})[0].reshape(-1)
            scores[first : first + len(part)] = found[: len(part)]
        return scores
