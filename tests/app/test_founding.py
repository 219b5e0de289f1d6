"""What a worker says of a file of rules that is not what is in force, as both change."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from app.founding import Founding
from clickwarden.detection import rulesfile
from clickwarden.detection.allowlist import Allowance
from clickwarden.detection.rulebook import Rulebook
from clickwarden.kafka.rulestopic import change_of, written
from clickwarden.settings import Settings

RULE = '[[rule]]\nname = "bot"\nwindow = 60\nthreshold = 50\n'


def put(book: Rulebook, content: str) -> None:
    drafts = rulesfile.parse(content.encode(), "rules.toml")
    change = change_of(book, written(drafts), what="put rules.toml", who="ann", why="", now=1773152400)
    assert book.take(msgspec.json.encode(change))


def test_a_file_that_is_put_or_changed_later_is_held_against_what_is_in_force(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(RULE)
    topic: Any = SimpleNamespace(book=Rulebook())
    founding = Founding(Settings(rules=file), topic)
    assert founding.warnings == []
    put(topic.book, RULE)
    assert founding.warnings == []
    file.write_text(RULE.replace("50", "500"))
    (said,) = founding.warnings
    assert f"{file} is not what is in force" in said
    assert "changed last by ann (put rules.toml)" in said
    rules, entry = topic.book.editions[-1].change.rules, Allowance(users=["eve"], reason="x")
    allowed = change_of(topic.book, rules, what="eve", who="bob", why="", now=1773152400, allow=[entry])
    assert topic.book.take(msgspec.json.encode(allowed))
    assert founding.warnings == [said]  # the rules are still those of ann
    put(topic.book, RULE.replace("50", "500"))
    assert founding.warnings == []
    file.unlink()
    (said,) = founding.warnings
    assert "no such file of rules" in said
