"""Labels say which users are bots, in whatever form somebody has them."""

from pathlib import Path

import pytest

from clickwarden.audit.labels import Labels, Score, read
from clickwarden.errors import SettingsError

BOTS, HONEST = {"eve", "203.0.113.9"}, {"ann"}


def labels(tmp_path: Path, content: str | bytes) -> Labels:
    path = tmp_path / "labels"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read(path, ["uid"])


@pytest.mark.parametrize(
    "content",
    [
        "user_id,label\neve,bot\n203.0.113.9,1\nann,human\nbob,\n",
        'label;"UID"\nTrue;eve\nyes;203.0.113.9\nNo;ann\n',
        "﻿ip\tis_bot\tcountry\neve\t1\tde\n\n203.0.113.9\ttrue\tfr\nann\t0\tfr\n",
        '{"user": "eve", "label": true}\n{"user": "203.0.113.9", "bot": 1}\n{"user": "ann", "class": "no"}\n',
    ],
)
def test_bots_and_others_with_a_label(tmp_path: Path, content: str) -> None:
    found = labels(tmp_path, content)
    assert (found.bots, found.honest) == (BOTS, HONEST)


@pytest.mark.parametrize(
    "content",
    [
        "eve\n203.0.113.9\n",
        "user_id\neve\n 203.0.113.9 \neve\n",
        '{"uid": "eve"}\n\n{"uid": "203.0.113.9"}\n',
    ],
)
def test_a_list_of_bots(tmp_path: Path, content: str) -> None:
    found = labels(tmp_path, content)
    assert (found.bots, found.honest) == (BOTS, set())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "user_id,label\neve,maybe\n",
            "line 2: 'maybe' is no label: write 1, true, yes, bot for a bot and 0,",
        ),
        ("user_id,label\neve,bot\n,bot\n", "line 3: names no user; write one, or remove the line"),
        ("uid,label\neve,1\nann,0\neve,0\n", "line 4: 'eve' is labelled otherwise than on line 2; leave one"),
        ("name,label\neve,1\n", "line 1: has several columns, and none is called uid or user_id or user or"),
        ("uid,verdict\neve,0\n", "line 1: no column is called label or is_bot or bot or class; call the one"),
        ('{"uid": "eve", "verdict": 0}\n', "line 1: has no field called label or is_bot or bot or class"),
        ('{"uid": "eve"}\n{"name": 1}\n', "line 2: is no JSON object with uid or user_id"),
        ("", "labels nobody as a bot; a list of bots has one a line"),
        (b"\xff\xfe", "is not UTF-8; write it as that"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, content: str | bytes, said: str) -> None:
    with pytest.raises(SettingsError) as error:
        labels(tmp_path, content)
    assert f"{error.value}".startswith(f"{tmp_path / 'labels'}")
    assert said in f"{error.value}"


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        read(tmp_path / "none", [])


def test_bots_without_clicks_are_not_missed() -> None:
    found = Labels(dict.fromkeys(("eve", "joe", "ghost"), True))
    found.see(["eve", "joe", "ann"])
    assert found.score({"eve", "ann"}) == Score(1, 1, 1, 0, 0.5, 0.5, 0.5)
    assert found.score(set()) == Score(0, 2, 0, 0, None, 0.0, None)


def test_of_who_is_not_labelled_nothing_is_known_where_some_are_honest() -> None:
    found = Labels({"eve": True, "ann": False})
    found.see(["eve", "ann", "bob"])
    assert found.score({"eve", "bob"}) == Score(1, 0, 0, 1, 1.0, 1.0, 1.0)
    assert found.score({"ann"}) == Score(0, 1, 1, 0, 0.0, 0.0, 0.0)
