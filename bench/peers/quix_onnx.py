"""Quix Streams, and an ONNX forest asked about each record: five fields as they come, no windows.

A program: ``quix_onnx.py BOOTSTRAP TOPIC OUTPUT RECORDS PARTITIONS``, in a folder with model.onnx and
threshold.json.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from quixstreams import Application

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when it is loaded: it tells its maker what it runs
import onnxruntime


def main(bootstrap: str, topic: str, output: str, records: int) -> None:
    """Score the whole topic."""
    threshold = json.loads(Path("threshold.json").read_text())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession("model.onnx", options, providers=["CPUExecutionProvider"])
    counted = 0

    def processed(topic: str, partition: int, offset: int) -> None:
        nonlocal counted
        counted += 1
        if counted == 1:
            print("first", flush=True)
        if counted == records:
            print("last", flush=True)
            app.stop()

    def scored(record: Any) -> dict[str, Any]:
        fields = [
            [
                record["amount"],
                record["device"],
                record["timestamp"] % 86_400,
                int(record["country"][1:]),
                int(record["merchant_id"][1:]),
            ]
        ]
        (scores,) = session.run(None, {"values": np.array(fields, np.float32)})
        return {"id": record["tx_id"], "score": float(scores[0, 0])}

    app = Application(
        bootstrap,
        consumer_group=output,
        auto_offset_reset="earliest",
        on_message_processed=processed,
        state_dir=Path("state"),
    )
    told = app.dataframe(app.topic(topic)).apply(scored)
    told = told[told["score"] >= threshold]
    told.to_topic(app.topic(output))
    app.run()
    print("done", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    bootstrap, topic, output, records, _ = sys.argv[1:]
    main(bootstrap, topic, output, int(records))
