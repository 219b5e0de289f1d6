"""How many requests of each client were counted, and how many left out as static files; and who is none."""

from collections import Counter

from clickwarden.alerts.words import visible
from clickwarden.detection.intake import NEARLY_ALL
from clickwarden.formats.clients import is_inside
from clickwarden.formats.lines import Block

#: Of fewer static files nothing is said, and as long as so large a part of a client's requests is counted: a
#: page brings dozens with it.
MANY, TIMES = 100, 20
#: Of fewer requests all may be one client's.
FEW = 20
#: Clients that are remembered, and of so many those with most.
REMEMBERED, KEPT = 100_000, 10_000


class Clientele:
    """Counts the requests of each client."""

    def __init__(self) -> None:
        self._counted: Counter[str] = Counter()
        self._static: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def take(self, block: Block) -> None:
        """Learn of some lines."""
        self._counted.update(block.clicks.users)
        if block.static:
            self._static.update(user for user, _ in block.static)
            self._examples.update(block.static)
        if len(self._static) > REMEMBERED:
            self._static = Counter(dict(self._static.most_common(KEPT)))
            self._examples = {user: self._examples[user] for user in self._static}
        if len(self._counted) > REMEMBERED:
            most = dict(self._counted.most_common(KEPT))
            self._counted = Counter(most | {user: self._counted[user] for user in self._static})

    @property
    def hidden(self) -> str:
        """Who has many requests left out and hardly one counted, in a sentence; empty where nobody has."""
        hidden = [
            (user, count)
            for user, count in self._static.most_common()
            if count >= MANY and count >= TIMES * self._counted[user]
        ]
        if not hidden:
            return ""
        user, count = hidden[0]
        others = f", and so it is with {len(hidden) - 1:,} more clients" if len(hidden) > 1 else ""
        return (
            f"{count:,} requests of {visible(user)} were left out as static files, against "
            f"{self._counted[user]:,} that were counted{others}: if that is no browser, --everything counts "
            f"them. For example: {visible(self._examples[user])}"
        )

    def inside(self, total: int) -> str:
        """Whether nearly all of the requests are of one's own machines, in a sentence; empty where not."""
        own = {user: count for user, count in self._counted.items() if is_inside(user)}
        clicks = sum(own.values())
        if clicks < max(FEW, NEARLY_ALL * total) or len(own) < 2:
            return ""
        return (
            f"{100 * clicks // total} % of {total:,} requests are of {len(own):,} private addresses, such as "
            f"{next(iter(own))}: if they are proxies of yours, --trusted-proxies names them"
        )
