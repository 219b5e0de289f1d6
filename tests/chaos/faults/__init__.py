"""The faults: what may happen to a worker, to Kafka or between them, and what must hold then.

Above all of them stands the oracle: whatever happens, no anomaly is missing,
none is invented, none contradicts another, and every interval holds the truth.
"""

from tests.chaos.faults import kafka, network, workers
from tests.chaos.faults.fault import Fault

#: What a seed draws from.
FAULTS: tuple[Fault, ...] = (*workers.faults, *kafka.faults, *network.faults)
