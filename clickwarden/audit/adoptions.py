"""What the rules topic says of which rules were in force, since which offset of each partition."""

import json
import re
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from clickwarden.audit.reading import AuditRecord
from clickwarden.detection.rules import Rule
from clickwarden.errors import SettingsError

_KEY = re.compile(rb"adopted/(\d{1,9})/(\d{1,20}/\d{1,20})")

#: By partition: offsets, ascending, and the rules that are in force from there on.
Adoptions = dict[int, list[tuple[int, tuple[Rule, ...]]]]


class Told(NamedTuple):
    """What the newest owner of each partition told of it.

    Attributes:
        rules: since when which rules are in force.
        lists: since when which allow-list is: offsets, ascending, and the change that made it.
    """

    rules: Adoptions
    lists: dict[int, list[tuple[int, int]]]


def adoptions_told(records: Iterable[AuditRecord]) -> Told:
    """What the newest owner of each partition told of it.

    Args:
        records: of the rules topic, in their order.

    Raises:
        SettingsError: it is of a rule that this release does not know, or no worker has told it.
    """
    newest: dict[int, tuple[str, bytes]] = {}
    for record in records:
        if record.value and (key := _KEY.fullmatch(record.key or b"")):
            partition, owner = int(key[1]), key[2].decode()
            if owner >= newest.get(partition, ("", b""))[0]:
                newest[partition] = owner, record.value
    read = {partition: _read(value) for partition, (_, value) in newest.items()}
    return Told(
        {partition: rules for partition, (rules, _) in read.items()},
        {partition: lists for partition, (_, lists) in read.items()},
    )


def _read(value: bytes) -> tuple[list[tuple[int, tuple[Rule, ...]]], list[tuple[int, int]]]:
    try:
        written, since, *lists = json.loads(value)
        rules = [msgspec.convert(rule, Rule) for rule in written]
        told = [(offset, tuple(rules[place] for place in places)) for offset, places in since]
        return told, [(int(offset), int(number)) for offset, number in (lists[0] if lists else [])]
    except msgspec.ValidationError as error:
        raise SettingsError(
            f"a rule that was in force is of a newer release ({error}): verify with that one"
        ) from None
    except (ValueError, TypeError, IndexError, RecursionError) as error:
        raise SettingsError(
            f"no worker has written what the rules topic says of a partition ({error!r:.200}); see who may "
            "write there"
        ) from None
