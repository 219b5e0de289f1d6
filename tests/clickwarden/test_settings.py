import os
import subprocess
import sys
from pathlib import Path

import pytest

from clickwarden import settings
from clickwarden.errors import SettingsError
from clickwarden.settings import PREFIX, Settings


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting in the environment, no .env in the working directory."""
    for name in os.environ:
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_places_may_have_spaces_between() -> None:
    assert Settings(field_user_id="user.id | @key").field_user_id == "user.id|@key"


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("CLICKWARDEN_LATENESS=7\nCLICKWARDEN_PARTITIONS=8\nHOME=/\n")
    monkeypatch.setenv("CLICKWARDEN_LATENESS", "9")
    loaded = Settings.load()
    assert (loaded.lateness, loaded.partitions, loaded.idle_timeout) == (
        9,
        8,
        Settings.model_fields["idle_timeout"].default,
    )


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LATENESS", "-1", "greater than or equal to 0"),
        ("LATENESS", "soon", "valid number"),
        ("LATENESS", "nan", "finite"),
        ("IDLE_TIMEOUT", "0", "greater than 0"),
        ("CHECKPOINT_INTERVAL", "inf", "finite"),
        ("BLIND_SHARE", "0", "greater than 0"),
        ("BLIND_SHARE", "1.1", "less than or equal to 1"),
        ("PARTITIONS", "0", "greater than or equal to 1"),
        ("SESSION_TIMEOUT", "5", "greater than or equal to 6"),
        ("BLOCK_SEVERITY", "severe", "'high'"),
        ("BLOCK_SECONDS", "0", "greater than 0"),
        ("BLOCK_MOST", "3600", "is less than CLICKWARDEN_BLOCK_SECONDS=14400"),
        ("BLOCK_MOST", "1814401", "less than or equal to 1814400"),
        ("WEB_PORT", "65536", "less than or equal to 65535"),
        ("CLICKS_TOPIC", "a click", "pattern"),
        ("BROKER", "localhost", "is not host:port; write kafka://host:port"),
        ("BROKER", "kafka://a:1,b", "'b' is not host:port"),
        ("FIELD_USER_ID", "a||b", "'' names nothing: write a name, a path, or several with | between"),
        (
            "FIELD_USER_ID",
            "@user",
            "'@user' is neither @key, @timestamp nor @header:NAME; a field of that name",
        ),
        ("FIELD_USER_ID", "@header:", "'@header:' names nothing"),
        ("FIELD_USER_ID", "id|@timestamp", "@timestamp is a time; a field of that name is @field:@timestamp"),
        ("TIMESTAMP_FORMAT", "%d.%m. %H:%M", "it says no year"),
        ("TIMESTAMP_FORMAT", "%Y-%Q", "'Q' is a bad directive"),
        ("WEB_BIND", "0.0.0.0", "set CLICKWARDEN_WEB_TOKEN to a secret, or bind to 127.0.0.1"),
        ("SECURITY_PROTOCOL", "TLS", "'PLAINTEXT', 'SSL'"),
        ("SSL_CAFILE", "absent.pem", "no such file: absent.pem"),
        ("REGISTRY_URL", "registry:8081", "pattern"),
        ("REGISTRY_URL", "https://registry.example/?format=x", "pattern"),
        ("SSL_KEYFILE", __file__, "of no use without the certificate; set CLICKWARDEN_SSL_CERTFILE"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name_its_value_and_the_cure(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(SettingsError) as refused:
        Settings.load()
    assert str(refused.value).startswith(f"{PREFIX}{name}={value}: ")
    assert said in str(refused.value)


def test_every_wrong_value_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKWARDEN_LATENESS", "-1")
    monkeypatch.setenv("CLICKWARDEN_PARTITIONS", "0")
    with pytest.raises(SettingsError) as refused:
        Settings.load()
    assert {line.partition("=")[0] for line in str(refused.value).splitlines()} == {
        "CLICKWARDEN_LATENESS",
        "CLICKWARDEN_PARTITIONS",
    }


def test_a_name_that_is_no_setting_is_refused_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKWARDEN_LATENES", "5")
    with pytest.raises(
        SettingsError, match=r"CLICKWARDEN_LATENES is no .* did you mean CLICKWARDEN_LATENESS\?"
    ):
        Settings.load()


def test_a_name_like_none_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CLICKWARDEN_XYZZY=5\n")
    with pytest.raises(SettingsError, match=r"CLICKWARDEN_XYZZY is no setting .* table of settings"):
        Settings.load()


def test_a_registry_needs_what_reads_its_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKWARDEN_REGISTRY_URL", "https://registry.example")
    assert Settings.load().registry_url == "https://registry.example"
    monkeypatch.setitem(sys.modules, "fastavro", None)
    with pytest.raises(SettingsError, match=r"^CLICKWARDEN_REGISTRY_URL=.* pip install fastavro protobuf"):
        Settings.load()


def test_no_password_of_a_registry_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKWARDEN_REGISTRY_URL", "https://ann:secret@registry.example")
    monkeypatch.setenv("CLICKWARDEN_REGISTRY_PASSWORD", "hush")
    with pytest.raises(SettingsError) as refused:
        Settings.load()
    assert "secret" not in str(refused.value)
    assert "hush" not in str(refused.value)
    monkeypatch.setenv("CLICKWARDEN_REGISTRY_URL", "https://registry.example")
    with pytest.raises(SettingsError, match="CLICKWARDEN_REGISTRY_USERNAME: is needed with a password"):
        Settings.load()


@pytest.mark.parametrize(
    ("database", "cure"),
    [
        (
            "postgresql://watcher:secret@db/shop",
            "has no password in it; put it into the file that PGPASSFILE",
        ),
        ("postgresql://watcher@db/shop?password=secret", "has no password in it"),
        ("db/shop?password=secret", "pattern"),
        ("", "CONNECT_URL=http://connect:8083: one alone .* set CLICKWARDEN_CAPTURE_DATABASE, too"),
    ],
)
def test_what_is_captured_is_asked_for_twice_and_no_password_is_shown(
    monkeypatch: pytest.MonkeyPatch, database: str, cure: str
) -> None:
    monkeypatch.setenv("CLICKWARDEN_CONNECT_URL", "http://connect:8083")
    monkeypatch.setenv("CLICKWARDEN_CAPTURE_DATABASE", database)
    with pytest.raises(SettingsError, match=cure) as refused:
        Settings.load()
    assert "secret" not in str(refused.value)


def test_who_asks_postgresql_needs_psycopg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKWARDEN_CONNECT_URL", "http://connect:8083")
    monkeypatch.setenv("CLICKWARDEN_CAPTURE_DATABASE", "postgresql://watcher@db/shop")
    assert Settings.load().capture_database == "postgresql://watcher@db/shop"
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SettingsError, match=r"^CLICKWARDEN_CAPTURE_DATABASE: .* pip install 'psycopg"):
        Settings.load()


def test_sasl_needs_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKWARDEN_SECURITY_PROTOCOL", "SASL_SSL")
    with pytest.raises(SettingsError, match="set CLICKWARDEN_SASL_USERNAME and CLICKWARDEN_SASL_PASSWORD"):
        Settings.load()


def test_a_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKWARDEN_SASL_PASSWORD", "hush")
    monkeypatch.setenv("CLICKWARDEN_WEB_TOKEN", "psst psst")
    monkeypatch.setenv("CLICKWARDEN_BLOCK_KEYS", "psst psst")
    monkeypatch.setenv("CLICKWARDEN_PARTITIONS", "0")
    with pytest.raises(SettingsError) as refused:
        Settings.load()
    assert "hush" not in str(refused.value) + repr(Settings(partitions=1))
    assert "psst psst" not in str(refused.value) + repr(Settings(partitions=1))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SEED", "-123454321", "CLICKWARDEN_SEED: Input should be greater than or equal to 0"),
        ("SEED", "123454321.5", "CLICKWARDEN_SEED: Input should be a valid integer"),
        ("WEB_TOKEN", "1234543", "CLICKWARDEN_WEB_TOKEN: is shorter than 8 characters"),
        ("COLLECT_TOKEN", "1234543", "CLICKWARDEN_COLLECT_TOKEN: is shorter than 32 characters"),
        ("BROKER", "kafka://me:123454321@kafka:9092", "CLICKWARDEN_BROKER=kafka://…@kafka:9092: an address"),
        ("BROKER", "me:12345432/1@kafka:9092,b", "set CLICKWARDEN_SASL_USERNAME and CLICKWARDEN_SASL_"),
        ("PARTITIONS", "me:123454321@kafka", "CLICKWARDEN_PARTITIONS=…@kafka: Input"),
    ],
)
def test_a_wrong_value_with_a_secret_in_it_is_refused_without_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(SettingsError) as refused:
        Settings.load()
    assert said in str(refused.value)
    assert "12345" not in str(refused.value)


def test_an_empty_variable_leaves_the_file_its_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CLICKWARDEN_LATENESS=7\nCLICKWARDEN_PARTITIONS=0\n")
    monkeypatch.setenv("CLICKWARDEN_LATENESS", "")
    monkeypatch.setenv("CLICKWARDEN_PARTITIONS", "")
    with pytest.raises(SettingsError, match=r"^CLICKWARDEN_PARTITIONS=0: "):
        Settings.load()
    (tmp_path / ".env").write_text("CLICKWARDEN_LATENESS=7\n")
    assert Settings.load().lateness == 7


def test_bound_to_every_address_with_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKWARDEN_WEB_BIND", "0.0.0.0")
    monkeypatch.setenv("CLICKWARDEN_WEB_TOKEN", "psst psst")
    assert Settings.load().web_bind == "0.0.0.0"


def test_the_collector_is_not_open_without_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKWARDEN_COLLECT_BIND", "0.0.0.0")
    with pytest.raises(SettingsError, match=r"COLLECT_BIND=0\.0\.0\.0: .*set CLICKWARDEN_COLLECT_TOKEN"):
        Settings.load()
    monkeypatch.setenv("CLICKWARDEN_COLLECT_TOKEN", "s" * 32)
    assert Settings.load().collect_bind == "0.0.0.0"


def test_several_brokers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKWARDEN_BROKER", "kafka://a:1,[::1]:2")
    loaded = Settings.load()
    assert (loaded.bootstrap, loaded.broker_urls) == ("a:1,[::1]:2", ["kafka://a:1", "kafka://[::1]:2"])


def test_the_worker_says_so_in_a_line_and_does_not_start() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "faust", "-A", "app", "worker"],
        env=os.environ | {PREFIX + "LATENESS": "-1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("clickwarden: CLICKWARDEN_LATENESS=-1: ")
    assert "Traceback" not in done.stderr


def test_the_table_of_settings_names_each() -> None:
    assert all(f"`{PREFIX}{name.upper()}`" in settings.table() for name in Settings.model_fields)


def test_a_topic_is_known_by_the_setting_that_names_it() -> None:
    settings = Settings(_env_file=None, app_id="shop", clicks_topic="visits", anomalies_topic="found")
    named = {topic: settings.named_by(topic).removeprefix("CLICKWARDEN_") for topic in (
        "visits", "visits.late", "visits.rejected", "found", "found.incidents", settings.rules_topic,
        settings.told_topic, settings.status_topic,
    )}  # fmt: skip
    assert list(named.values()) == [*["CLICKS_TOPIC"] * 3, *["ANOMALIES_TOPIC"] * 2, *["APP_ID"] * 3]
