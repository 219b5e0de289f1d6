"""Links by which people say what an incident was."""

import pytest

from clickwarden.channels.links import VALID_SECONDS, LinkError, LinkExpired, Links
from clickwarden.channels.secret import Secret

NOW = 1_773_152_400.0
PAGE = "https://clickwarden.shop.example/"
LINKS = Links(PAGE, Secret("s" * 32))
ID = "e1fed9de55ec615495aece53a70f57fc"


def token(incident_id: str = ID, at: float = NOW, links: Links = LINKS) -> str:
    link = links.link(incident_id, at)
    assert link.startswith(f"{PAGE}feedback/")
    return link.removeprefix(f"{PAGE}feedback/")


def test_whoever_has_the_secret_knows_a_link_until_it_expires() -> None:
    other_worker = Links("http://127.0.0.1:6066/", Secret("s" * 32))
    assert other_worker.incident_id(token(), NOW) == ID
    assert LINKS.incident_id(token(), NOW + VALID_SECONDS - 1) == ID
    with pytest.raises(LinkExpired, match="has expired: it works for 7 days"):
        LINKS.incident_id(token(), NOW + VALID_SECONDS)
    assert token() == token(at=NOW + 0.9)  # a message that is sent again is the same


@pytest.mark.parametrize("other", ["e1fed9de55ec615495aece53a70f57fd", ID[:-1], f"{ID}0", ID.upper()])
def test_a_link_is_good_for_no_other_incident_and_no_later(other: str) -> None:
    incident_id, expires, signature = token().split(".")
    _, _, of_other = token(other).split(".")
    later = str(int(expires) + 1)
    for forged in (
        f"{other}.{expires}.{signature}",
        f"{incident_id}.{expires}.{of_other}",
        f"{incident_id}.{later}.{signature}",
        f"{incident_id}.0{expires}.{signature}",
        f"{incident_id}.{expires}.{signature[:-1]}",
        f"{incident_id}.{expires}.{signature}=",
        f"{incident_id}.{expires}.{'A' * 43}",
        f"{incident_id}.{expires}.",
        f"{incident_id}.{expires}",
        f"{incident_id[:-1]}.{incident_id[-1]}{expires}.{signature}",
        f" {token()}",
        f"{token()}\n",
        token(links=Links(PAGE, Secret("t" * 32))),
        "",
        "\0",
        "é.1.é",
        "." * 100_000,
    ):
        with pytest.raises(LinkError, match="none of ours") as raised:
            LINKS.incident_id(forged, NOW)
        assert not isinstance(raised.value, LinkExpired)


@pytest.mark.parametrize("incident_id", ["", "a/b", "..", "<b>", "a.1", "x" * 129, "é", "a\n"])
def test_an_id_that_is_none_of_ours_has_no_link(incident_id: str) -> None:
    assert LINKS.link(incident_id, NOW) == ""
