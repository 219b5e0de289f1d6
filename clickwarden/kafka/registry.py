"""The schema registry: Confluent's [1]_, or one with its API, as Karapace and Apicurio have it.

What a number stands for never changes there, so a schema is asked for once. That a number stands for nothing
may change, for copies of a registry lag.

.. [1] https://docs.confluent.io/platform/current/schema-registry/develop/api.html
"""

import asyncio
import json
import logging
import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from http.client import HTTPException, IncompleteRead
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from clickwarden.detection.clicks import Clicks
from clickwarden.errors import DETAIL_MAX, RegistryError, SchemasMissing, SettingsError
from clickwarden.formats.choice import decoder_of
from clickwarden.formats.fields import Record
from clickwarden.formats.records import Fault
from clickwarden.formats.schema import Schema
from clickwarden.settings import PREFIX, Settings

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Who takes longer to answer is taken for away, seconds.
PATIENCE = 5.0
#: How long after its record a schema may come. A producer registers it before, and copies of the registry
#: follow within a second; whoever makes up numbers delays the counting by so much, and no more.
LATE_SECONDS = 10.0
#: No schema is larger, bytes; what is has no end.
ANSWER_MAX = 16 * 1024 * 1024
#: So much of it is read at once, bytes.
BLOCK = 64 * 1024
#: Schemas that one refers to, directly or not.
REFERENCES_MAX = 1000
#: Between two questions, seconds: at first, and at most.
SOON, SELDOM = 0.2, 5.0
#: A number that the registry does not know is not asked for again so soon, seconds; and so many of them.
FORGET_SECONDS = 10.0
UNKNOWN_MAX = 10_000
ACCEPT = "application/vnd.schemaregistry.v1+json, application/json"
TROUBLE = "The schema registry does not answer, and clicks wait; the worker's log says why"
#: No registry gives out such a number.
NUMBERS = 2**31

_WRONG_USER = HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN
_LATER = HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS

Answers = dict[int, Schema | Fault]


class Registry:
    """Knows the schemas it was asked for.

    Args:
        settings: where it is.

    Raises:
        SettingsError: its certificates cannot be used.

    Attributes:
        trouble: while somebody waits for it, that it does not answer, in words that name no address.
    """

    def __init__(self, settings: Settings) -> None:
        self.trouble = ""
        self._url = settings.registry_url.rstrip("/")
        self._authorization = ""
        if settings.registry_username:
            user = f"{settings.registry_username}:{settings.registry_password.get_secret_value()}"
            self._authorization = f"Basic {b64encode(user.encode()).decode()}"
        self._context: ssl.SSLContext | None = None
        if self._url.startswith("https:"):
            self._context = _trusting(settings.ssl_cafile)
        self._schemas: dict[int, Schema] = {}
        self._unknown: dict[int, tuple[float, Fault]] = {}

    async def answers(self, newest: Mapping[int, float], now: Callable[[], float]) -> Answers:
        """What the registry says of schemas; waits for as long as it does not answer.

        Args:
            newest: by the schema's number, the time stamp of the newest record of it, epoch seconds.
            now: the time, epoch seconds.
        """
        pause, asked, told, silent = SOON, monotonic(), "", False
        awaited = [number for number in newest if self._known(number) is None]
        while True:
            try:
                # One by one: a thread cannot be cancelled, and a worker that ends waits for it.
                found = {number: await asyncio.to_thread(self.answer, number) for number in newest}
            except RegistryError as error:
                self.trouble = TROUBLE
                if told != str(error):
                    told = str(error)
                    log.warning("%s; counting waits and goes on when it is back", told)
            else:
                if self.trouble:
                    self.trouble = ""
                    log.warning("The schema registry answers again after %.0f s", monotonic() - asked)
                unknown = [number for number in awaited if isinstance(found[number], Fault)]
                latest = max((newest[number] for number in unknown), default=0.0)
                if now() - latest > LATE_SECONDS or monotonic() - asked > LATE_SECONDS:
                    return found
                if not silent:
                    silent = True
                    which = ", ".join(map(str, unknown[:3]))
                    log.info(
                        "Schema %s is not in the registry; it is waited for, %g s at most",
                        which,
                        LATE_SECONDS,
                    )
                for number in unknown:
                    self._unknown.pop(number, None)
            await asyncio.sleep(pause)
            pause = min(2 * pause, SELDOM)

    def answer(self, number: int) -> Schema | Fault:
        """What the registry says of a schema, now.

        Raises:
            RegistryError: it does not answer.
        """
        if (known := self._known(number)) is not None:
            return known
        try:
            if number >= NUMBERS:
                raise _Unknown("no registry gives out such a number")
            schema = self._schemas[number] = self._schema(number)
        except _Unknown as unknown:
            fault = Fault("unknown_schema", f"schema {number}: {unknown}"[:DETAIL_MAX])
            if len(self._unknown) >= UNKNOWN_MAX:
                self._unknown.clear()
            self._unknown[number] = monotonic(), fault
            return fault
        return schema

    def _known(self, number: int) -> Schema | Fault | None:
        """What it has said before, as long as that is good."""
        if number in self._schemas:
            return self._schemas[number]
        since, fault = self._unknown.get(number, (0.0, None))
        return fault if monotonic() - since < FORGET_SECONDS else None

    def schema(self, number: int) -> Schema | None:
        """A schema; None where the registry knows none.

        Raises:
            RegistryError: it does not answer.
        """
        answer = self.answer(number)
        return answer if isinstance(answer, Schema) else None

    def _schema(self, number: int) -> Schema:
        where = f"/schemas/ids/{number}"
        found = self._get(where)
        kind = found.get("schemaType")
        kind = "AVRO" if kind is None else str(kind)
        if kind == "PROTOBUF":
            found = self._get(f"{where}?format=serialized")
        try:
            return Schema(kind, found["schema"], tuple(self._references(found, kind, {}).items()))
        except (KeyError, TypeError, RecursionError) as error:
            raise RegistryError(
                f"What the schema registry at {self._url} says of schema {number} cannot be read "
                f"({error!r:.200})"
            ) from None

    def _references(self, found: dict[str, Any], kind: str, known: dict[str, str]) -> dict[str, str]:
        """Add to ``known`` the texts that a schema refers to, each behind those that it refers to itself."""
        for reference in found.get("references") or ():
            if reference["name"] in known:
                continue
            if len(known) >= REFERENCES_MAX:
                raise RecursionError(f"it refers to more than {REFERENCES_MAX} others")
            known[reference["name"]] = ""  # so that one that refers to itself comes to an end
            where = f"/subjects/{quote(reference['subject'], '')}/versions/{reference['version']}"
            form = "format=serialized&" if kind == "PROTOBUF" else ""
            referred = self._get(f"{where}?{form}deleted=true")
            self._references(referred, kind, known)
            del known[reference["name"]]
            known[reference["name"]] = referred["schema"]
        return known

    def _get(self, path: str) -> dict[str, Any]:
        """An answer of its API.

        Raises:
            RegistryError, _Unknown: there is none.
        """
        request = Request(self._url + path, headers={"Accept": ACCEPT})
        if self._authorization:  # which is for nobody to whom the registry may send us on
            request.add_unredirected_header("Authorization", self._authorization)
        try:
            with urlopen(request, timeout=PATIENCE, context=self._context) as response:
                answer: dict[str, Any] = json.loads(_content(response))
            if not isinstance(answer["schema"], str):
                raise TypeError
        except HTTPError as error:
            with error:
                raise self._refusal(error) from None
        except (OSError, HTTPException) as error:
            why = getattr(error, "reason", error)
            unknown = isinstance(why, ssl.SSLCertVerificationError)
            cure = f": set {PREFIX}SSL_CAFILE to who has signed its certificate" if unknown else ""
            raise RegistryError(f"The schema registry does not answer at {self._url} ({why}){cure}") from None
        except (ValueError, KeyError, TypeError, RecursionError):
            raise RegistryError(
                f"What answers at {self._url} is no schema registry: set {PREFIX}REGISTRY_URL to one"
            ) from None
        return answer

    def _refusal(self, error: HTTPError) -> Exception:
        if error.code in _WRONG_USER:
            return RegistryError(
                f"The schema registry at {self._url} refuses this user ({error.code}): set "
                f"{PREFIX}REGISTRY_USERNAME and {PREFIX}REGISTRY_PASSWORD to one that may read schemas"
            )
        if error.code < HTTPStatus.INTERNAL_SERVER_ERROR and error.code not in _LATER:
            try:
                answer = json.loads(_content(error))
                code, message = int(answer["error_code"]), str(answer["message"])
                # Of its own codes: neither of what stands before it, nor that it has no such path at all.
                if code != error.code or not message.startswith("HTTP "):
                    return _Unknown(message)
                raise ValueError
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError, OSError, HTTPException):
                return RegistryError(
                    f"What answers at {self._url} is no schema registry ({error.code}): set "
                    f"{PREFIX}REGISTRY_URL to one"
                )
        return RegistryError(
            f"The schema registry does not answer at {self._url} ({error.code} {error.reason})"
        )


def _content(response: Any) -> bytes:
    """What a server answers.

    Raises:
        OSError, HTTPException: it does not come to its end, or not in time.
        ValueError: it has none.
    """
    content, deadline = b"", monotonic() + PATIENCE
    while part := response.read1(BLOCK):
        content += part
        if len(content) > ANSWER_MAX:
            raise ValueError(f"an answer of more than {ANSWER_MAX:,} bytes")
        if monotonic() > deadline:
            raise TimeoutError("timed out")
    if getattr(response, "length", 0):
        raise IncompleteRead(content)
    return content


def _trusting(authorities: Path | None) -> ssl.SSLContext:
    """TLS that trusts these authorities, and those the machine knows.

    Raises:
        SettingsError: the file holds none.
    """
    context = ssl.create_default_context()
    if authorities is not None:
        try:
            context.load_verify_locations(authorities)
        except OSError as error:
            raise SettingsError(
                f"{PREFIX}SSL_CAFILE={authorities}: holds no certificates ({error})"
            ) from None
    return context


class _Unknown(Exception):
    """The registry says that it does not know it."""


class TopicDecoder:
    """Decodes records of a topic here and now, asking the registry on the way.

    >>> TopicDecoder(Settings()).decode([]).users
    []
    """

    def __init__(self, settings: Settings) -> None:
        self.registry = Registry(settings)
        self._decoder = decoder_of(settings)()

    def decode(self, records: Sequence[Record]) -> Clicks:
        """Decode some records of one partition.

        Raises:
            RegistryError: it does not answer.
        """
        return self._knowing(partial(self._decoder.decode, records))

    def contents(self, records: Sequence[Record]) -> list[Any]:
        """The values of records, as JSON where the registry says how; or a :class:`Fault`.

        Raises:
            RegistryError: it does not answer.
        """
        return self._knowing(partial(self._decoder.contents, records))

    def _knowing(self, read: Callable[[], T]) -> T:
        answers: Answers = {}
        while True:
            try:
                with self._decoder.knowing(answers):
                    return read()
            except SchemasMissing as missing:
                answers |= {number: self.registry.answer(number) for number in missing.newest}
