"""What becomes of records of pipelines, told to people."""

import pytest

from agents.scored import BEHIND, FATES
from clickwarden.alerts.sight import Sight
from clickwarden.detection.intake import ACCEPTED, Counts, Intake


@pytest.mark.parametrize("fate", sorted(set(FATES.values()) - {ACCEPTED}))
def test_why_records_have_no_score_is_said_in_words_with_the_cure(fate: str) -> None:
    sight = Sight.of(Intake(()), Counts(10, rejected={fate: 90}), {})
    blindness = sight.blindness(0.5)
    assert blindness is not None
    assert blindness.summary.startswith(f"90 of the 100 records (90 %) could not be counted: {fate} (")
    assert "pipeline.toml" in blindness.text
    assert "CLICKWARDEN_" not in blindness.text
    assert ("lateness" in blindness.text) == (fate == BEHIND)
