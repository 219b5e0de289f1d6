"""What each key did before: its latest records, as columns in blocks."""

from collections.abc import Mapping, Sequence
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

#: Records of a key that lie side by side. A key has one block that is not full.
BLOCK = 8
#: Records that are looked at together, at most: the number of a key among them and a moment fit 63 bits.
RUN_MAX = 8192
#: Every moment is nearer to 1970 than this, in milliseconds.
_FAR = 2**48
#: After so many records it is looked for keys that can be forgotten; or after as many as there are keys.
_OFTEN = 65_536


class View(NamedTuple):
    """Some records behind the earlier ones of their keys: key by key, each in the order of the log.

    Attributes:
        order: int64[m], of the records, as they are here.
        place: int64[m], where each is here.
        begin: int64[m], where its key begins here.
        moments: int64[m], of each: its own, or its key's newest where that is later.
        ages: int64[m], milliseconds since its key's previous record; -1 where there is none.
        columns: of all that is here, by name.
        owner: int64[n], of all that is here, where its key begins.
        line: int64[n], the moments of all that is here, each key's above all of the key before.
    """

    order: Ints
    place: Ints
    begin: Ints
    moments: Ints
    ages: Ints
    columns: dict[str, NDArray[Any]]
    owner: Ints
    line: Ints

    def since(self, window: int, keep: int) -> Ints:
        """int64[m], the first that each record has in its window: (its moment - window, its moment]."""
        begin = np.searchsorted(self.line, self.line[self.place] - window, side="right")
        return np.maximum(np.maximum(begin, self.begin), self.place - keep)


class _Keys(NamedTuple):
    """The keys of some records, and what they have.

    Attributes:
        known: int64[k], their numbers.
        lengths: int64[k], records that are remembered.
        fill: int64[k], records in the newest block; BLOCK where there is none.
        counts: int64[k], blocks. The newest may be filled in part, and the oldest may begin with what is
            forgotten.
    """

    known: Ints
    lengths: Ints
    fill: Ints
    counts: Ints

    @property
    def skipped(self) -> Ints:
        """int64[k], places in the oldest block before the first record that is remembered."""
        return (self.counts - 1) * BLOCK + self.fill - self.lengths


class Histories:
    """The latest records of each key.

    They lie in blocks, each of which knows the one before it. A block that nothing can see any more is used
    again.

    Attributes:
        longest: milliseconds that a window looks back, at most.
        keep: records of a key that are remembered, at most.
        merging: whether records of a key with the same moment become one, with the sums of their columns.
    """

    def __init__(
        self, columns: Mapping[str, type[np.generic]], longest: int, keep: int, *, merging: bool = False
    ) -> None:
        """Begin with no record.

        Args:
            columns: types of what is remembered beside the moment, by name.
            longest: milliseconds that a window looks back, at most.
            keep: records of a key that are remembered, at most.
            merging: whether records of a key with the same moment become one, with the sums of their columns.
        """
        self.longest = longest
        self.keep = keep
        self.merging = merging
        self._numbers: dict[str, int] = {}
        self._tail = np.zeros(0, np.int32)  # the newest block, of a key; -1 where there is none
        self._fill = np.zeros(0, np.int8)
        self._length = np.zeros(0, np.int32)
        self._newest = np.zeros(0, np.int64)
        self._moments = np.zeros(0, np.int64)
        self._columns: dict[str, NDArray[Any]] = {name: np.zeros(0, kind) for name, kind in columns.items()}
        self._before = np.zeros(0, np.int32)  # the block before, of a block
        self._free = np.zeros(0, np.int32)  # a stack
        self._spare = 0
        self._added = 0

    @property
    def keys(self) -> int:
        """How many are known."""
        return len(self._numbers)

    @property
    def used(self) -> int:
        """Blocks in use."""
        return len(self._before) - self._spare

    @property
    def reachable(self) -> int:
        """Blocks that some key has."""
        return int(self._of(np.arange(self.keys)).counts.sum())

    @property
    def bytes(self) -> int:
        """Of memory, without the names of the keys."""
        arrays: list[NDArray[Any]] = [self._tail, self._fill, self._length, self._newest]
        arrays += [self._moments, self._before, self._free, *self._columns.values()]
        return sum(array.nbytes for array in arrays)

    def add(
        self, keys: Sequence[str], moments: Ints, columns: Mapping[str, NDArray[Any]], forgotten: int
    ) -> View:
        """Remember records, and show them behind those before them.

        Args:
            keys: of each; at least one, at most RUN_MAX.
            moments: int64[m], epoch milliseconds.
            columns: of each, by name.
            forgotten: epoch milliseconds; what is not newer cannot be seen by any record to come.
        """
        self._added += len(keys)
        if self._added > max(_OFTEN, len(self._numbers)):
            self._forget(forgotten)
        numbers = self._numbered(keys)
        order = np.argsort(numbers, kind="stable")
        numbers = numbers[order]
        bounds = np.flatnonzero(np.concatenate(([True], numbers[1:] != numbers[:-1])))
        sizes = np.diff(bounds, append=len(order))
        found = self._of(numbers[bounds])
        ends = np.cumsum(found.lengths + sizes)
        begins = ends - found.lengths - sizes
        blocks, offsets = self._blocks(found)

        place = np.arange(len(order)) + np.repeat(np.cumsum(found.lengths), sizes)
        key, row = _counted(found.lengths)
        there = begins[key] + row
        row += found.skipped[key]
        source = blocks[offsets[key] + row // BLOCK] * BLOCK + row % BLOCK
        total = int(ends[-1])
        rise = np.repeat(np.arange(len(ends)) * (2 * _FAR) + _FAR, found.lengths + sizes)
        line = _joined(self._moments, source, there, moments[order], place, total) + rise
        np.maximum.accumulate(line, out=line)
        joined = {
            name: _joined(kept, source, there, columns[name][order], place, total)
            for name, kept in self._columns.items()
        }
        begin = np.repeat(begins, sizes)
        ages = np.where(place > begin, line[place] - line[place - 1], -1)
        owner = np.repeat(begins, found.lengths + sizes)
        line_moments = line - rise
        view = View(order, place, begin, line_moments[place], ages, joined, owner, line)

        last = np.append(bounds[1:], len(order)) - 1
        heads = np.maximum(view.since(self.longest, self.keep)[last], ends - self.keep)
        self._release(found, blocks, offsets, np.minimum(heads - begins, found.lengths) + found.skipped)
        self._remember(found, begins, heads, ends, line_moments, joined)
        return view

    def _remember(
        self,
        found: _Keys,
        begins: Ints,
        heads: Ints,
        ends: Ints,
        moments: Ints,
        columns: Mapping[str, NDArray[Any]],
    ) -> None:
        """Keep what is new of what is shown, from the first that is still to be seen, at ``heads``."""
        gone = np.minimum(heads - begins, found.lengths)
        first = np.maximum(heads, begins + found.lengths)
        if self.merging:  # the newest so far may be one with what is new
            again = gone < found.lengths
            first = first - again
            found = found._replace(lengths=found.lengths - again, fill=found.fill - again)
        added = ends - first
        key, number = _counted(added)
        source = first[key] + number
        new = moments[source]
        if self.merging:
            starts = np.flatnonzero((number == 0) | (new != np.roll(new, 1)))
            added = np.bincount(key[starts], minlength=len(ends))
            self._append(found, added, new[starts], {
                name: np.add.reduceat(column[source], starts) for name, column in columns.items()
            })  # fmt: skip
        else:
            self._append(found, added, new, {name: column[source] for name, column in columns.items()})
        self._length[found.known] = found.lengths - gone + added
        self._newest[found.known] = moments[ends - 1]

    def _numbered(self, keys: Sequence[str]) -> Ints:
        known = self._numbers
        for key in keys:
            if key not in known:
                known[key] = len(known)
        numbers = np.fromiter(map(known.__getitem__, keys), np.int64, len(keys))
        if (more := len(known) - len(self._tail)) > 0:
            more = max(more, len(self._tail) // 2, 1024)
            self._tail = np.concatenate((self._tail, np.full(more, -1, np.int32)))
            self._fill = np.concatenate((self._fill, np.full(more, BLOCK, np.int8)))
            self._length = _grown(self._length, more)
            self._newest = _grown(self._newest, more)
        return numbers

    def _of(self, known: Ints) -> _Keys:
        lengths = self._length[known].astype(np.int64)
        fill = self._fill[known].astype(np.int64)
        counts = np.where(self._tail[known] >= 0, 1 + np.maximum(lengths - fill + BLOCK - 1, 0) // BLOCK, 0)
        return _Keys(known, lengths, fill, counts)

    def _blocks(self, found: _Keys) -> tuple[Ints, Ints]:
        """The blocks of keys, key by key, the oldest first; and where those of each key begin."""
        ends = np.cumsum(found.counts)
        blocks = np.empty(int(ends[-1]) if len(ends) else 0, np.int64)
        some = np.flatnonzero(found.counts)
        block, target, left = self._tail[found.known[some]], ends[some] - 1, found.counts[some]
        while len(block):
            blocks[target] = block
            on = left > 1
            block, target, left = self._before[block[on]], target[on] - 1, left[on] - 1
        return blocks, ends - found.counts

    def _release(self, found: _Keys, blocks: Ints, offsets: Ints, heads: Ints) -> None:
        """Take back the blocks before the first record still to be seen, at ``heads`` of a key's places."""
        key, number = _counted(heads // BLOCK)
        if len(key):
            self._put_back(blocks[offsets[key] + number])

    def _put_back(self, blocks: Ints) -> None:
        self._free[self._spare : self._spare + len(blocks)] = blocks
        self._spare += len(blocks)

    def _append(self, found: _Keys, added: Ints, moments: Ints, columns: Mapping[str, NDArray[Any]]) -> None:
        """Write records behind those of their keys, so many of each, key by key."""
        wanted = (found.fill + added - 1) // BLOCK
        new = self._take(int(wanted.sum()))
        starts = np.cumsum(wanted) - wanted
        grown = np.flatnonzero(wanted)
        tails = self._tail[found.known]
        self._before[new[1:]] = new[:-1]
        self._before[new[starts[grown]]] = tails[grown]
        key, number = _counted(added)
        row = found.fill[key] + number
        block = tails[key].astype(np.int64)
        over = np.flatnonzero(row >= BLOCK)
        block[over] = new[starts[key[over]] + row[over] // BLOCK - 1]
        target = block * BLOCK + row % BLOCK
        self._moments[target] = moments
        for name, kept in self._columns.items():
            kept[target] = columns[name]
        self._tail[found.known[grown]] = new[(starts + wanted - 1)[grown]]
        self._fill[found.known] = found.fill + added - wanted * BLOCK

    def _take(self, count: int) -> NDArray[np.int32]:
        """So many free blocks."""
        if count > self._spare:
            size = len(self._before)
            more = max(count - self._spare, size // 4, 1024)
            self._moments = _grown(self._moments, more * BLOCK)
            self._columns = {name: _grown(kept, more * BLOCK) for name, kept in self._columns.items()}
            self._before = _grown(self._before, more)
            self._free = _grown(self._free, more)
            self._put_back(np.arange(size, size + more))
        self._spare -= count
        return self._free[self._spare : self._spare + count].copy()

    def _forget(self, forgotten: int) -> None:
        """Forget keys none of whose records can be seen again; the others get new numbers."""
        self._added = 0
        size = len(self._numbers)
        alive = self._newest[:size] > forgotten
        gone = np.flatnonzero(~alive)
        if not len(gone):
            return
        self._put_back(self._blocks(self._of(gone))[0])
        left = size - len(gone)
        for array, empty in ((self._tail, -1), (self._fill, BLOCK), (self._length, 0), (self._newest, 0)):
            array[:left] = array[:size][alive]
            array[left:size] = empty
        self._numbers = {key: number for number, key in enumerate(compress(self._numbers, alive.tolist()))}


def _counted(counts: Ints) -> tuple[Ints, Ints]:
    """Of things that are so many each: to which each belongs, and which of them it is."""
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner]


def _joined(
    kept: NDArray[Any], source: Ints, there: Ints, new: NDArray[Any], place: Ints, total: int
) -> NDArray[Any]:
    """What is kept and what is new, in one column."""
    column = np.empty(total, kept.dtype)
    column[there] = kept[source]
    column[place] = new
    return column


def _grown(array: NDArray[Any], more: int) -> NDArray[Any]:
    return np.concatenate((array, np.zeros(more, array.dtype)))
