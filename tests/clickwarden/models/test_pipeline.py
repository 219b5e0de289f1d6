"""What a ``pipeline.toml`` may hold, and what is said of one that is wrong."""

from pathlib import Path

import pytest

from clickwarden.errors import SettingsError
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.pipelinefile import EXAMPLE

FULL = """\
name = "cards"
version = 3
key = "card"
time = "at"
topic = "transactions"
budget = 50

[fields]
amount = { type = "number", grid = 0.01 }
country = { type = "text" }

[[feature]]
kind = "log1p"
field = "amount"

[[feature]]
kind = "one_hot"
field = "country"
vocabulary = ["DE", "FR"]

[[feature]]
kind = "rolling"
field = "amount"
windows = ["1m", "24h"]
stats = ["count", "ratio"]
"""


def load(folder: Path, content: str) -> Pipeline:
    (folder / "pipeline.toml").write_text(content)
    return Pipeline.load(folder)


def test_a_table_of_numbers_needs_nothing_else(tmp_path: Path) -> None:
    pipeline = load(tmp_path, EXAMPLE)
    assert pipeline.feature_names == ("f0",)
    assert (pipeline.key, pipeline.time, pipeline.topic, pipeline.budget) == ("", "", "", None)


def test_the_columns_are_named_in_order(tmp_path: Path) -> None:
    pipeline = load(tmp_path, FULL)
    assert pipeline.feature_names == (
        *("log1p(amount)", "country=DE", "country=FR", "country=(other)"),
        *("amount.count.1m", "amount.ratio.1m", "amount.count.24h", "amount.ratio.24h"),
    )
    assert pipeline.lateness == 3_600_000


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("version = 3", "version = 4", True),
        ("budget = 50", "budget = 5\nseverity = 'high'", True),
        ('topic = "transactions"', 'topic = "others"', True),
        ("[fields]", '[fields]\nunused = { type = "text" }', True),
        ('"24h"', '"1d"', True),
        ('"24h"', '"23h"', False),
        ("[fields]", "[fields]\n", True),
        ('"DE", "FR"', '"FR", "DE"', False),
        ("0.01", "0.1", False),
        ('key = "card"', 'key = "country"', False),
        ("budget = 50", "keep = 255", False),
        ("budget = 50", 'lateness = "2h"', False),
    ],
)
def test_the_hash_is_of_what_the_features_depend_on(tmp_path: Path, old: str, new: str, same: bool) -> None:
    before = load(tmp_path, FULL).definition_hash
    assert old in FULL
    after = load(tmp_path, FULL.replace(old, new)).definition_hash
    assert (before == after) is same


def test_the_hash_never_changes(tmp_path: Path) -> None:
    """Or no model that is in use would be taken any more."""
    found = load(tmp_path, FULL).definition_hash
    assert found == "837b2b5bcef05d535d5b4e08854fc2536200ceb57686577e5b20428c746f3346"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("version = 3", "verson = 3", "line 2: verson: there is no such field; did you mean version?"),
        ('kind = "log1p"', 'kind = "log2p"', "line 13: feature 1: kind: 'log2p' must be one of raw, log1p"),
        ('field = "amount"\n\n', 'field = "amount"\nwindow = "1h"\n\n', "line 15: feature 1: window: there"),
        ('time = "at"\n', "", "line 3: key: without time there is no order"),
        ('key = "card"\n', "", "line 4: topic: what is read of one needs key and time; add them"),
        ('key = "card"\ntime = "at"\ntopic = "transactions"\n', "", "'rolling' needs key; add key = "),
        (", grid = 0.01", "", "windows of 'amount' need a grid, so that sums are exact: write"),
        ("grid = 0.01", "grid = 0", "grid: 0 is not 1e-09 to 1e+09"),
        ('"number", grid', '"text", grid', "grid: only a number has one; take it out"),
        ('field = "country"', 'field = "contry"', "'contry' is none of [fields]; there are amount,"),
        ('field = "country"', 'field = "amount"', "'one_hot' needs one of type text, and 'amount' is of"),
        ('"ratio"]', '"rato"]', "feature 3: stats: 'rato' must be one of count, sum"),
        ('"ratio"]', '"distinct"]', "line 25: feature 3: stats: 'distinct' cannot be of 'amount'"),
        ('["1m", "24h"]', '["1m", "1 day"]', "line 24: feature 3: windows: '1 day' is no span of time"),
        ('["1m", "24h"]', '["1m", "1m"]', "windows: names something twice"),
        ("stats = [", "bucket = '7m'\nstats = [", "bucket: 1m is no multiple of 7m; choose one that fits"),
        ("vocabulary = ", "words = ", "words: there is no such field"),
        ('vocabulary = ["DE", "FR"]\n', "", "vocabulary: is missing, and kind 'one_hot' needs it"),
        ("budget = 50", "keep = 0", "line 6: keep: 0 is not 1 to 65,536"),
        ("budget = 50", 'detector = "magic"', "detector: 'magic' must be one of iforest, logreg"),
        ('kind = "log1p"', 'kind = "raw"\nstats = ["sum"]', "stats: is nothing that kind 'raw' takes"),
        ('"log1p"\nfield = "amount"', '"raw"\nfield = "amount"\n[[feature]]\nkind = "raw"\nfield = "amount"',
         "line 15: feature 2: makes 'amount', as one before it does"),
        ("[[feature]]", "[feature]", "is not TOML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_line_and_cure(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert old in FULL
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, FULL.replace(old, new, 1))
    assert fault in str(raised.value)
    assert str(raised.value).startswith(f"{tmp_path / 'pipeline.toml'}, line ")


def test_a_folder_without_a_file_is_told_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file; a pipeline is a folder with one"):
        Pipeline.load(tmp_path / "nowhere")
