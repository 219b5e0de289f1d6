"""Open pages: ``python audience.py PORT CONNECTIONS`` listens to a worker and throws away what it hears.

Prints ``listening`` when all are connected; ends when the worker drops one.
"""

import selectors
import socket
import sys

REQUEST = b"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept-Encoding: gzip\r\n\r\n"
BYTES = 1024 * 1024


def main(port: int, connections: int) -> None:
    """Listen until one connection ends."""
    readable = selectors.DefaultSelector()
    for _ in range(connections):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(REQUEST % port)
        if not connection.recv(BYTES).startswith(b"HTTP/1.1 200"):
            sys.exit("audience: the worker does not let everybody listen")
        readable.register(connection, selectors.EVENT_READ, connection)
    print("listening", flush=True)
    while True:
        for key, _ in readable.select():
            if not key.data.recv(BYTES):
                sys.exit("audience: the worker dropped a listener")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
