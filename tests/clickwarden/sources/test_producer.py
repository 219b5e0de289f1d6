"""What a producer writes where the fields of a click stand elsewhere than under our names."""

from typing import Any

import pytest

from clickwarden.errors import SettingsError
from clickwarden.settings import Settings
from clickwarden.sources.producer import ClickProducer


@pytest.mark.parametrize(
    ("setting", "places", "named"),
    [
        ("field_timestamp", "@timestamp", "CLICKWARDEN_FIELD_TIMESTAMP=@timestamp: "),
        ("field_timestamp", "@timestamp|ts", "as in timestamp|@timestamp|ts"),
        ("field_user_id", "@header:x-user", "as in user_id|@header:x-user"),
        ("field_event", "@key", "as in event|@key"),
    ],
)
def test_a_place_that_no_click_can_be_written_to_is_refused(setting: str, places: str, named: str) -> None:
    given: dict[str, Any] = {setting: places}
    with pytest.raises(SettingsError) as refused:
        ClickProducer(Settings(_env_file=None, **given))
    assert named in str(refused.value)
