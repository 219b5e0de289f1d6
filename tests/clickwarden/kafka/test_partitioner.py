"""Our partitioner beside aiokafka's."""

import random

from aiokafka.partitioner import DefaultPartitioner
from aiokafka.partitioner import murmur2 as theirs

from clickwarden.kafka.partitioner import murmur2, partition_of


def test_a_key_goes_where_aiokafka_would_send_it() -> None:
    made = random.Random(7)
    keys = [made.randbytes(length) for length in range(100) for _ in range(20)]
    assert [murmur2(key) for key in keys] == [theirs(key) for key in keys]
    partitions = list(range(6))
    assert [partition_of(key, partitions, [1]) for key in keys] == [
        DefaultPartitioner()(key, partitions, [1]) for key in keys
    ]


def test_what_has_no_key_goes_where_it_can() -> None:
    assert {partition_of(None, [0, 1, 2], [1]) for _ in range(20)} == {1}
    assert partition_of(None, [0, 1, 2], []) in {0, 1, 2}
