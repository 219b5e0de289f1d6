"""Who brings something to the API: what it is, and why it is refused."""

import asyncio
import re
from collections.abc import Sequence
from typing import TypeVar, get_args, get_type_hints

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from clickwarden.detection.revision import FailedTest
from clickwarden.formats.json import UNREADABLE

#: Of a request's body, and how long it may take to come.
BODY_BYTES = 16 * 1024
BODY_SECONDS = 10.0
#: What comes of a body that does not come whole.
BROKEN = (TimeoutError, ConnectionError, web.RequestPayloadError, HttpProcessingError)

_AT = re.compile(r" - at `\$\.?(?P<field>\w*).*`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")
_NONE_OF = re.compile(r"Invalid enum value (.*)")
_MISSING = re.compile(r"Object missing required field `(.*)`")

Asked = TypeVar("Asked", bound=msgspec.Struct)


class Refused(msgspec.Struct):
    """Why nothing is changed.

    Attributes:
        error: in words.
        field: of the request, which is wrong; empty where it is none of them.
        tests: those of a rule that fail.
    """

    error: str
    field: str = ""
    tests: Sequence[FailedTest] = ()


class Refusal(Exception):
    """Nothing is changed; with the answer's status."""

    def __init__(self, status: int, error: str, field: str = "", tests: Sequence[FailedTest] = ()) -> None:
        super().__init__(error)
        self.status = status
        self.answer = Refused(error, field, tests)


async def asked(request: web.Request, wanted: type[Asked], cure: str) -> Asked:
    """What a request asks for.

    Args:
        request: with JSON for its body.
        wanted: what that must be.
        cure: where to take a field from that is missing, in words.

    Raises:
        Refusal: it is no JSON, too large, or holds what it may not.
    """
    if request.content_type != "application/json":
        raise Refusal(415, f"Content-Type: is {request.content_type}; send JSON, as application/json")
    too_large = Refusal(413, f"the body has more than {BODY_BYTES:,} bytes; a change has few")
    if (request.content_length or 0) > BODY_BYTES:
        raise too_large
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await request.read()
    except BROKEN:
        raise Refusal(400, "the body did not come whole; send it again") from None
    if len(body) > BODY_BYTES:
        raise too_large
    try:
        return msgspec.json.decode(body, type=wanted)
    except UNREADABLE as error:
        raise _explained(str(error), wanted, cure) from None


def _explained(said: str, wanted: type[msgspec.Struct], cure: str) -> Refusal:
    """What a body is not, in our own words."""
    at = _AT.search(said)
    why = said[: at.start()] if at else said
    field = at["field"] if at else ""
    if unknown := _UNKNOWN.fullmatch(why):
        known = wanted.__struct_fields__ if not field else ()
        fields = f"; there are {', '.join(known)}" if known else f" of {field}; see docs/api.md"
        return Refusal(400, f"{unknown[1]}: there is no such field{fields}", unknown[1])
    if missing := _MISSING.fullmatch(why):
        return Refusal(400, f"{missing[1]}: is missing; {cure}", missing[1])
    if (other := _NONE_OF.fullmatch(why)) and (words := get_args(get_type_hints(wanted).get(field))):
        return Refusal(400, f"{field}: {other[1]} is none of {', '.join(map(repr, words))}", field)
    begin = why if why[1].isupper() else f"{why[0].lower()}{why[1:]}"
    return Refusal(400, f"{field or 'the body'}: {begin}; see docs/api.md", field)
