"""The connectors of a Kafka Connect, by its REST."""

import asyncio
from collections.abc import Mapping
from time import monotonic
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

import aiohttp
import msgspec

from clickwarden.errors import AnswerError, BrokerError

#: How long Connect may be busy with what was changed before.
BUSY_SECONDS = 60.0
#: For so long it may still say of what it starts anew that it has failed.
RESTART_SECONDS = 5.0
#: It is about to start, or shares its work out.
BUSY = frozenset({409, 500, 503})
MISSING = 404
#: An answer is read up to so many bytes; the longest of Connect's own quote traces.
LONGEST = 256 * 1024
#: So many are asked at once.
AT_ONCE = 8
#: So many tasks of one are told of; Debezium's for PostgreSQL has one.
TASKS = 20
#: Characters of a name or a state that are told, and of a reason.
SHOWN, REASON = 100, 500

T = TypeVar("T")


class _Part(msgspec.Struct):
    """A connector or a task of it, as Connect tells of it."""

    state: str
    trace: str | None = None


class _Said(msgspec.Struct):
    """What Connect tells of a connector."""

    connector: _Part
    tasks: list[_Part]


class State(NamedTuple):
    """What Connect says of a connector; what it says is not yet that something comes.

    Attributes:
        connector: RUNNING, FAILED, STOPPED, PAUSED, UNASSIGNED or RESTARTING.
        tasks: the same, of each task; of more than :data:`TASKS`, first those that do not run.
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
        BrokerError: by all methods: Connect does not answer, or refuses; as AnswerError, what answers there
            does not answer as Connect does, or at too great a length.
    """

    def __init__(self, url: str, patience: float = BUSY_SECONDS) -> None:
        self.url = url.rstrip("/")
        self._patience = patience
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Be ready to ask."""
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._patience),
            connector=aiohttp.TCPConnector(limit=AT_ONCE),
            # Connect wants a type of a PUT without a body, too. A small answer could unfold to a large one.
            headers={"Content-Type": "application/json", "Accept-Encoding": "identity"},
            auto_decompress=False,
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
        return sorted(await self._learn("/connectors", list[str]))

    async def settings(self, name: str) -> dict[str, str]:
        """Of a connector; empty where there is none of that name."""
        found = await self._learn(f"/connectors/{name}/config", dict[str, str | None], missing={})
        return {key: value for key, value in found.items() if value is not None}

    async def put(self, name: str, settings: Mapping[str, str]) -> None:
        """Make a connector, or change its settings; where they are these already, nothing happens."""
        await self._ask("PUT", f"/connectors/{name}/config", settings)

    async def state(self, name: str) -> State:
        """What Connect says of it; UNASSIGNED where it knows nothing yet."""
        unknown = _Said(_Part("UNASSIGNED"), [])
        said = await self._learn(f"/connectors/{name}/status", _Said, missing=unknown)
        traces = [brief(part.trace, REASON) for part in (said.connector, *said.tasks) if part.trace]
        tasks = [brief(task.state) for task in said.tasks]
        if len(tasks) > TASKS:
            tasks = sorted(tasks, key="RUNNING".__eq__)[:TASKS]
        return State(brief(said.connector.state), tuple(tasks), next(iter(traces), ""))

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

    async def _learn(self, path: str, kind: type[T], *, missing: T | None = None) -> T:
        """What it answers, which is of this kind; ``missing`` where that does not exist."""
        answer = await self._ask("GET", path, is_missing=missing is not None)
        if answer is None and missing is not None:
            return missing
        try:
            return msgspec.json.decode(answer or b"", type=kind)
        except (ValueError, RecursionError) as error:
            raise self._strange(path, str(error)) from error

    async def _ask(
        self, method: str, path: str, body: object = None, *, is_missing: bool = False
    ) -> bytes | None:
        """What it answers; None where that does not exist and ``is_missing`` says that it may."""
        assert self._session is not None
        deadline = monotonic() + self._patience
        while True:
            try:
                async with self._session.request(method, f"{self.url}{path}", json=body) as response:
                    answer = await self._read(response, path)
                    if response.ok:
                        return answer
                    if response.status == MISSING and is_missing:
                        return None
                    status = response.status
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                raise BrokerError(
                    f"Kafka Connect does not answer at {self.url} ({type(error).__name__}); start it with "
                    "'faust -A app connect', or say where it is: --url, CLICKWARDEN_CONNECT_URL"
                ) from error
            if status not in BUSY or monotonic() > deadline:
                said = brief(answer.decode(errors="replace"), REASON)
                raise BrokerError(f"Kafka Connect refuses {method} {brief(path)}: {status} {said}")
            await asyncio.sleep(0.2)

    async def _read(self, response: aiohttp.ClientResponse, path: str) -> bytes:
        answer = bytearray()
        async for chunk in response.content.iter_any():
            answer += chunk
            if len(answer) > LONGEST:
                raise self._strange(path, f"it is longer than {LONGEST // 1024} KiB")
        return bytes(answer)

    def _strange(self, path: str, why: str) -> AnswerError:
        return AnswerError(
            f"Kafka Connect at {self.url} gave no answer of its own kind to {brief(path)} ({brief(why)}); "
            "see what answers there, or say where it is: --url, CLICKWARDEN_CONNECT_URL"
        )


def brief(text: str, most: int = SHOWN) -> str:
    """The beginning of what a stranger wrote, in one line, inert: a row may be quoted in it."""
    line = text[: 2 * most].strip().partition("\n")[0]
    if len(line) > most:
        line = f"{line[: most - 1]}…"
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line)
