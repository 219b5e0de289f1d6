"""What of a log is not to be counted: what a browser fetches by itself, and one's own monitoring."""

import fnmatch
import re
from collections import Counter
from collections.abc import Sequence
from itertools import compress

from clickwarden.formats.clients import address, network
from clickwarden.formats.lines import Block
from clickwarden.formats.requests import STATIC, WEBDAV

#: What is left out of a log where not everything is counted, in words.
MARKED = {STATIC: "static files", WEBDAV: "WebDAV"}
IGNORED = "ignored"


class Sieve:
    """Leaves clicks out, and says how many.

    Args:
        ignored: addresses and networks whose clicks, and paths to which, are left out; ``*`` in a path is
            anything.
        everything: count what a page or a file manager loads, too: dozens of requests for one click.

    Raises:
        SettingsError: what is ignored is neither an address, a network, nor a path.
    """

    def __init__(self, ignored: Sequence[str] = (), *, everything: bool = False) -> None:
        paths = [pattern for pattern in ignored if pattern.startswith("/")]
        self._path = re.compile("|".join(map(fnmatch.translate, paths))) if paths else None
        self._networks = [network(given) for given in ignored if not given.startswith("/")]
        self._marked = {} if everything else MARKED

    def __call__(self, block: Block) -> Block:
        """The block without what is left out."""
        clicks = block.clicks
        reasons: list[str | None] = [None] * len(clicks.users)
        if clicks.requests is not None and self._marked:
            reasons = list(map(self._marked.get, clicks.events))
        if self._path:
            matches = self._path.match
            for index, path in enumerate(clicks.products):
                if path is not None and matches(str(path)):
                    reasons[index] = IGNORED
        if self._networks:
            own = {user for user in set(clicks.users) if self._is_own(user)}
            for index, user in enumerate(clicks.users):
                if user in own:
                    reasons[index] = IGNORED
        if not any(reasons):
            return block
        block.left_out = Counter(filter(None, reasons))
        block.static = [
            (user, str(path))
            for user, path, reason in zip(clicks.users, clicks.products, reasons, strict=True)
            if reason == MARKED[STATIC]
        ]
        kept = [reason is None for reason in reasons]
        rejected = clicks.rejected
        block.clicks = clicks.pick(list(compress(range(len(kept)), kept)))
        block.clicks.rejected = rejected
        return block

    def _is_own(self, user: str) -> bool:
        found = address(user.partition("/")[0])
        return found is not None and any(found in own for own in self._networks)
