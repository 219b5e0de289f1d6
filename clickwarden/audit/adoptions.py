"""What the rules topic says of which rules were in force, since which offset of each partition."""

import json
import re
from collections.abc import Iterable

import msgspec

from clickwarden.audit.reading import AuditRecord
from clickwarden.detection.rules import Rule
from clickwarden.errors import SettingsError

_KEY = re.compile(rb"adopted/(\d{1,9})/(\d{1,20}/\d{1,20})")

#: By partition: offsets, ascending, and the rules that are in force from there on.
Adoptions = dict[int, list[tuple[int, tuple[Rule, ...]]]]


def adoptions_told(records: Iterable[AuditRecord]) -> Adoptions:
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
    return {partition: _read(value) for partition, (_, value) in newest.items()}


def _read(value: bytes) -> list[tuple[int, tuple[Rule, ...]]]:
    try:
        written, since = json.loads(value)
        rules = [msgspec.convert(rule, Rule) for rule in written]
        return [(offset, tuple(rules[place] for place in places)) for offset, places in since]
    except msgspec.ValidationError as error:
        raise SettingsError(
            f"a rule that was in force is of a newer release ({error}): verify with that one"
        ) from None
    except (ValueError, TypeError, IndexError, RecursionError) as error:
        raise SettingsError(
            f"no worker has written what the rules topic says of a partition ({error!r:.200}); see who may "
            "write there"
        ) from None
