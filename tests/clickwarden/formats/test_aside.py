"""What copies of records carry of them."""

import pytest

from clickwarden.formats.aside import HEADERS_BYTES, carried

LARGEST = [("trace", b"7" * (HEADERS_BYTES - len("trace")))]


def test_a_name_given_twice_is_carried_twice_and_none_stands_for_what_we_say() -> None:
    headers = [("trace", b"7"), ("trace", None), ("element", b"x")]
    assert carried(headers, whole=True) == [("trace", b"7"), ("trace", None), ("original.element", b"x")]


@pytest.mark.parametrize("headers", [LARGEST, [*LARGEST, ("", b"1")]])
def test_things_of_a_record_carry_so_much_and_a_whole_record_all(headers: list[tuple[str, bytes]]) -> None:
    assert carried(headers, whole=True) == headers
    assert carried(headers, whole=False) == (headers if headers == LARGEST else [])
