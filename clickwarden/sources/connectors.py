"""The connectors of a Kafka Connect, by its REST."""

import asyncio
from collections.abc import Mapping
from time import monotonic
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp

from clickwarden.errors import BrokerError

#: How long Connect may be busy with what was changed before.
BUSY_SECONDS = 60.0
#: For so long it may still say of what it starts anew that it has failed.
RESTART_SECONDS = 5.0
#: It is about to start, or shares its work out.
BUSY = frozenset({409, 500, 503})
MISSING = 404


class State(NamedTuple):
    """What Connect says of a connector; what it says is not yet that something comes.

    Attributes:
        connector: RUNNING, FAILED, STOPPED, PAUSED, UNASSIGNED or RESTARTING.
        tasks: the same, of each task.
        trace: why one failed, the first line; empty where none did.
    """

    connector: str
    tasks: tuple[str, ...]
    trace: str

    @property
    def runs(self) -> bool:
        """Whether all of it does, by its own word."""
        return self.connector == "RUNNING" and bool(self.tasks) and set(self.tasks) == {"RUNNING"}


class Connectors:
    """A client of its REST, as an asynchronous context manager.

    Args:
        url: where it answers.
        patience: how long it may take to answer, seconds.

    Raises:
        BrokerError: by all methods: Connect does not answer, or refuses.
    """

    def __init__(self, url: str, patience: float = BUSY_SECONDS) -> None:
        self.url = url.rstrip("/")
        self._patience = patience
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Be ready to ask."""
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._patience),
            headers={"Content-Type": "application/json"},  # which it wants of a PUT without a body, too
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def names(self) -> list[str]:
        """Of all connectors."""
        return sorted(await self._ask("GET", "/connectors"))

    async def settings(self, name: str) -> dict[str, str]:
        """Of a connector; empty where there is none of that name."""
        found = await self._ask("GET", f"/connectors/{name}/config", missing={})
        return {str(key): str(value) for key, value in found.items()}

    async def put(self, name: str, settings: Mapping[str, str]) -> None:
        """Make a connector, or change its settings; where they are these already, nothing happens."""
        await self._ask("PUT", f"/connectors/{name}/config", settings)

    async def state(self, name: str) -> State:
        """What Connect says of it; UNASSIGNED where it knows nothing yet."""
        unknown = {"connector": {"state": "UNASSIGNED"}, "tasks": []}
        said = await self._ask("GET", f"/connectors/{name}/status", missing=unknown)
        parts = [said["connector"], *said["tasks"]]
        traces = [_first_line(part["trace"]) for part in parts if part.get("trace")]
        tasks = tuple(task["state"] for task in said["tasks"])
        return State(said["connector"]["state"], tasks, next(iter(traces), ""))

    async def await_settled(self, name: str, seconds: float) -> State:
        """Its state, as soon as it runs or has failed, at last after so long."""
        deadline = monotonic() + seconds
        while True:
            state = await self.state(name)
            if state.runs or "FAILED" in (state.connector, *state.tasks) or monotonic() > deadline:
                return state
            await asyncio.sleep(0.1)

    async def restart(self, name: str) -> None:
        """Start what of it has failed anew, which Connect does not do by itself."""
        await self._ask("POST", f"/connectors/{name}/restart?includeTasks=true&onlyFailed=true")
        deadline = monotonic() + RESTART_SECONDS
        while True:
            state = await self.state(name)
            if "FAILED" not in (state.connector, *state.tasks) or monotonic() > deadline:
                return
            await asyncio.sleep(0.05)

    async def remove(self, name: str) -> None:
        """Remove a connector, and how far it has read; harmless where there is none."""
        if not await self.settings(name):
            return
        await self._ask("PUT", f"/connectors/{name}/stop")
        deadline = monotonic() + BUSY_SECONDS
        while (state := await self.state(name)).connector != "STOPPED" or state.tasks:
            if monotonic() > deadline:
                raise BrokerError(f"Kafka Connect has not stopped {name} for {BUSY_SECONDS:.0f} s: {state}")
            await asyncio.sleep(0.1)
        # Else one of the same name would go on there, in a log that has it no longer.
        await self._ask("DELETE", f"/connectors/{name}/offsets")
        await self._ask("DELETE", f"/connectors/{name}")

    async def _ask(self, method: str, path: str, body: object = None, *, missing: Any = None) -> Any:
        """What it answers; ``missing`` where that does not exist."""
        assert self._session is not None
        deadline = monotonic() + self._patience
        while True:
            try:
                async with self._session.request(method, f"{self.url}{path}", json=body) as response:
                    text = await response.text()
                    if response.ok:
                        return await response.json() if text else None
                    if response.status == MISSING and missing is not None:
                        return missing
                    status = response.status
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                raise BrokerError(
                    f"Kafka Connect does not answer at {self.url} ({type(error).__name__}); start it with "
                    "'faust -A app connect', or say where it is: --url, CLICKWARDEN_CONNECT_URL"
                ) from error
            if status not in BUSY or monotonic() > deadline:
                raise BrokerError(f"Kafka Connect refuses {method} {path}: {status} {_first_line(text)}")
            await asyncio.sleep(0.2)


def _first_line(text: str) -> str:
    """Its beginning, inert: a row may be quoted in it."""
    line = text.strip().partition("\n")[0][:500]
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line)
