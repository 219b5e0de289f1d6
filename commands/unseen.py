"""Who has so many requests left out as static files that they may be something else."""

from collections import Counter

from clickwarden.alerts.words import visible
from clickwarden.formats.lines import Block

#: Of fewer nothing is said, and as long as so large a part of a client's requests is counted: a page brings
#: dozens of files with it.
MANY, TIMES = 100, 20
#: Clients that are remembered, and of so many those with most.
REMEMBERED, KEPT = 100_000, 10_000


class Unseen:
    """Counts, of each client, what is left out as static files, and what is not."""

    def __init__(self) -> None:
        self._left_out: Counter[str] = Counter()
        self._counted: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def take(self, block: Block) -> None:
        """Learn of some lines."""
        if block.static:
            self._left_out.update(user for user, _ in block.static)
            self._examples.update(block.static)
        self._counted.update(block.clicks.users)
        if len(self._left_out) > REMEMBERED or len(self._counted) > REMEMBERED:
            self._left_out = Counter(dict(self._left_out.most_common(KEPT)))
            self._counted = Counter({user: self._counted[user] for user in self._left_out})
            self._examples = {user: self._examples[user] for user in self._left_out}

    @property
    def warning(self) -> str:
        """Who it is, in a sentence; empty where it is nobody."""
        hidden = [
            (user, count)
            for user, count in self._left_out.most_common()
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
