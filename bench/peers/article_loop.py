"""The way of most articles: a consumer's loop, and scikit-learn's forest asked about each record by itself.

A program: ``article_loop.py BOOTSTRAP TOPIC OUTPUT RECORDS PARTITIONS``, in a folder with learnt.npy
(float32[n, 5]) and threshold.json.
"""

import json
import sys
from pathlib import Path

import numpy as np
from confluent_kafka import Consumer, Producer
from sklearn.ensemble import IsolationForest


def main(bootstrap: str, topic: str, output: str, records: int) -> None:
    """Score the whole topic."""
    forest = IsolationForest(n_estimators=100, max_samples=256, random_state=1)
    forest.fit(np.load("learnt.npy"))
    forest.offset_ = -json.loads(Path("threshold.json").read_text())
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": output,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    producer = Producer({"bootstrap.servers": bootstrap})
    consumer.subscribe([topic])
    scored = 0
    while scored < records:
        message = consumer.poll()
        if message is None or message.error():
            continue
        record = json.loads(message.value() or b"")
        if not scored:
            print("first", flush=True)
        fields = [
            [
                record["amount"],
                record["device"],
                record["timestamp"] % 86_400,
                int(record["country"][1:]),
                int(record["merchant_id"][1:]),
            ]
        ]
        abnormal, score = forest.predict(fields), forest.score_samples(fields)
        if abnormal[0] == -1:
            told = {"id": record["tx_id"], "score": -float(score[0])}
            producer.produce(output, json.dumps(told), str(record["tx_id"]))
            producer.flush()
        consumer.commit()
        scored += 1
    print("last", flush=True)
    print("done", flush=True)
    sys.stdin.read()
    consumer.close()


if __name__ == "__main__":
    bootstrap, topic, output, records, _ = sys.argv[1:]
    main(bootstrap, topic, output, int(records))
