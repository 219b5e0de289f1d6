"""The network between the workers and Kafka: a way from each worker to each node."""

import asyncio
import threading
from collections.abc import Collection, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

from clickwarden.sandbox.broker import Broker
from clickwarden.sandbox.ports import HOST
from tests.chaos.proxy import WHOLE, Condition, Proxy


class Network:
    """A proxy for each of a broker's nodes and proxied listeners, in a thread of their own.

    Whoever starts from the :meth:`bootstrap` of a listener reaches every node through the
    proxies of this listener, which can be disturbed while those of others pass everything on.
    """

    def __init__(self, broker: Broker) -> None:
        self._forwards = {name: broker.forwards(name) for name in broker.proxied}
        self._ways = {
            name: {node: Proxy(forward) for node, forward in forwards.items()}
            for name, forwards in self._forwards.items()
        }
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop = self._runner.get_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        self._proxies = AsyncExitStack()
        self._thread.start()
        self._run(self._listen())

    def close(self) -> None:
        """Close all connections, and take no more."""
        self._run(self._proxies.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._runner.close()

    def bootstrap(self, name: str) -> str:
        """Where a client of the listener begins: ``host:port,…``."""
        return ",".join(f"{HOST}:{forward.port}" for forward in self._forwards[name].values())

    @contextmanager
    def disturbed(self, name: str, nodes: Collection[int], condition: Condition) -> Iterator[None]:
        """Disturb the ways of a listener's clients to these nodes; they are whole again on exit."""
        self._run(self._become(name, nodes, condition))
        try:
            yield
        finally:
            self._run(self._become(name, nodes, WHOLE))

    async def _listen(self) -> None:
        for ways in self._ways.values():
            for proxy in ways.values():
                await self._proxies.enter_async_context(proxy)

    async def _become(self, name: str, nodes: Collection[int], condition: Condition) -> None:
        for node in nodes:
            self._ways[name][node].become(condition)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()
