"""Garbage collection in the processes that clicks go through."""

import gc

#: Collections of a young generation this large: clicks are freed by reference
#: count, and stock thresholds cost a third of the throughput.
THRESHOLD = (50_000, 20, 100)


def tune() -> None:
    """Collect seldom, and leave what is loaded by now out of every later collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLD)
