"""Ports of this machine that servers for development listen at."""

import random
import socket

HOST = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether nothing listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> int:
    """First of ``count`` free ports in a row.

    Below the range that connections take theirs from: a client that tries
    again and again to reach a dead node there could connect to itself.
    """
    while True:
        first = random.randrange(20_000, 30_000)
        if all(is_free(port) for port in range(first, first + count)):
            return first
