"""Positions in the stream of anomalies, and who can go on from which."""

import msgspec

from web.stream import Stream, parse

RECORD = msgspec.Raw(b"{}")


def made(*places: tuple[int, int], keep: int = 100) -> Stream:
    """A stream over two partitions that begin at offsets 5 and 0, with events at these places."""
    stream = Stream(keep)
    stream.begin(1, 0)
    stream.begin(0, 5)
    for partition, offset in places:
        stream.take(partition, offset, RECORD)
    return stream


def test_an_event_names_the_position_behind_it() -> None:
    stream = made((1, 0), (0, 5), (1, 7))
    stream.take(0, 9, None)
    ids = [event.text.partition(b"\n")[0] for event in stream.behind(0)]
    assert ids == [b"id: 5-1", b"id: 6-1", b"id: 6-8"]
    assert (stream.position, stream.count) == ("10-8", 3)
    assert [event.offset for event in stream.behind(2)] == [7]


def test_what_is_forgotten_cannot_be_gone_on_from() -> None:
    stream = made((0, 5), (1, 0), (0, 6), (1, 4), keep=2)
    assert (stream.first, [event.offset for event in stream.behind(0)]) == (2, [6, 4])
    assert stream.has([6, 1])
    assert not stream.has([5, 1])
    assert not stream.has([6, 0])


def test_what_was_not_read_cannot_be_gone_on_from() -> None:
    stream = made()
    assert stream.has([5, 0])
    assert not stream.has([4, 0])


def test_positions_of_another_topic_are_none() -> None:
    stream = made()
    assert not stream.has([])
    assert not stream.has([5])
    assert not stream.has([5, 0, 0])
    assert not stream.has(parse("5-0-x"))


def test_another_worker_may_have_read_on_further() -> None:
    stream = made((0, 5))
    assert stream.reaches([6, 0])
    assert not stream.reaches([6, 1])
    stream.take(1, 0, None)
    assert stream.reaches([6, 1])
