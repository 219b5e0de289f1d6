"""What is said of a body that is none."""

from typing import Literal

import msgspec
import pytest
from aiohttp.test_utils import make_mocked_request

from web import refusal


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    verdict: Literal["human", "bot"]
    number: int = 0


@pytest.mark.parametrize(
    ("body", "said", "field"),
    [
        (b'{"verdict": "alien"}', "verdict: 'alien' is none of 'human', 'bot'", "verdict"),
        (
            b'{"verdict": "bot", "number": "a"}',
            "number: expected `int`, got `str`; see docs/api.md",
            "number",
        ),
        (b'{"verdict": "bot", "why": 1}', "why: there is no such field; there are verdict, number", "why"),
        (b"{}", "verdict: is missing; a cure", "verdict"),
        (b"{nothing}", "the body: JSON is malformed: ", ""),
    ],
)
async def test_what_is_wrong_is_said_with_its_field(body: bytes, said: str, field: str) -> None:
    request = make_mocked_request("POST", "/", headers={"Content-Type": "application/json"})
    request._read_bytes = body  # noqa: SLF001 - what came
    with pytest.raises(refusal.Refusal) as refused:
        await refusal.asked(request, Wanted, "a cure")
    assert refused.value.status == 400
    assert refused.value.answer.error.startswith(said)
    assert refused.value.answer.field == field
