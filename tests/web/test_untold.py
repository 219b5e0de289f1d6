"""What the page says of what people could not be told."""

import msgspec
import pytest

from clickwarden.channels.ledger import Entry, State
from web.untold import Untold


def entry(key: str, state: State, *incidents: str, channel: str = "mail", words: str = "550 no") -> bytes:
    told = dict.fromkeys(incidents, 0)
    return msgspec.json.encode(Entry(channel=channel, key=key, state=state, incidents=told, words=words))


def test_what_was_given_up_is_said_until_it_is_told() -> None:
    untold = Untold()
    untold.take(entry("a", "intent", "1"))
    untold.take(entry("b", "told", "2"))
    assert list(untold.warnings()) == []
    untold.take(entry("a", "failed", "1"))
    untold.take(entry("c", "failed", "1", "3", words="550 full"))
    untold.take(entry("a", "failed", "1", channel="slack", words="401 invalid_auth"))
    assert [words.partition(";")[0] for words in untold.warnings()] == [
        "Channel mail was not told of 2 incidents: 550 full",
        "Channel slack was not told of 1 incident: 401 invalid_auth",
    ]
    untold.take(entry("a", "again", "1"))
    untold.take(entry("c", "told", "1", "3"))
    assert [words[:13] for words in untold.warnings()] == ["Channel slack"]


@pytest.mark.parametrize("value", [None, b"", b"{}", b"[]", b"\xff"], ids=repr)
def test_what_is_no_entry_is_passed_over(value: bytes | None) -> None:
    untold = Untold()
    untold.take(value)
    assert list(untold.warnings()) == []
