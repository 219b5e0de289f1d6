"""The list as others read it: text, networks, nginx, HAProxy.

What is for addresses is written of what :mod:`ipaddress` has made of an id, and holds nothing else of it.
"""

from collections.abc import Iterator, Mapping
from typing import Literal, get_args

from clickwarden.alerts.words import plural, visible
from clickwarden.blocking.block import Block
from clickwarden.blocking.blocklist import MOST, Listing, Reason
from clickwarden.times import isotime

Format = Literal["plain", "cidr", "nginx", "haproxy"]
FORMATS: tuple[Format, ...] = get_args(Format)


def written(listing: Listing, form: Format) -> str:
    """The list in a form, with what it leaves out in comments at its head; ``plain`` has neither.

    ``plain``: scope, value and until when, with tabs between; all users. The others: addresses and networks.
    """
    if form == "plain":
        return "".join(
            f"{block.target.scope}\t{visible(block.target.value)}\t{isotime(block.until)}\n"
            for block in listing.blocks
        )
    networks = {str(block.target.network): block for block in listing.blocks if block.target.network}
    lines = [f"# {comment}" for comment in _comments(listing, len(networks))]
    lines += [_line(network, block, form) for network, block in networks.items()]
    return "".join(f"{line}\n" for line in lines)


def _line(network: str, block: Block, form: Format) -> str:
    if form == "nginx":
        return f"deny {network};"
    return f"{network} {isotime(block.until)}" if form == "haproxy" else network


def _comments(listing: Listing, networks: int) -> Iterator[str]:
    yield f"Clickwarden, {isotime(listing.at)}: {plural(networks, 'address', 'addresses')}"
    others = len(listing.blocks) - networks
    if others:
        yield f"left out: {plural(others, 'user')} without an address"
    yield from (f"left out: {words}" for words in left_out(listing.left_out))


def left_out(counts: Mapping[Reason, int]) -> Iterator[str]:
    """Who is not on the list, in words.

    >>> list(left_out({"private": 2, "many": 1}))
    ['2 users of private networks, of this machine or of nobody', '1 user beyond the 10,000 that are listed']
    """
    meanings: dict[Reason, str] = {
        "private": "of private networks, of this machine or of nobody",
        "many": f"beyond the {MOST:,} that are listed",
    }
    for reason, count in counts.items():
        yield f"{plural(count, 'user')} {meanings[reason]}"
