"""Prometheus' Alertmanager, which routes alerts on: an alert an incident, by its API (``/api/v2/alerts``)."""

from base64 import b64encode
from urllib.parse import unquote

import msgspec

from clickwarden.channels.channel import Answer, Channel, address
from clickwarden.channels.inert import inert
from clickwarden.channels.message import Case, Message
from clickwarden.channels.posting import post
from clickwarden.channels.rendering import lines

#: An alert that is not sent again within Alertmanager's resolve_timeout, 5 minutes, is taken for over.
REPEAT = 60.0


class AlertmanagerSender:
    """Posts incidents as alerts: active while they go on and are sent again, resolved when they are over.

    What stands behind Alertmanager puts labels and annotations into messages as they are: all are inert.

    Raises:
        ValueError: the url cannot be one's.
    """

    repeat: float | None = REPEAT

    def __init__(self, channel: Channel) -> None:
        split, _ = address(channel, {})
        self._channel = channel
        scheme = channel.scheme.partition("+")[2]
        host = split.netloc.rpartition("@")[2]
        self._url = f"{scheme}://{host}{split.path.rstrip('/')}/api/v2/alerts"
        self._headers = {}
        if split.username and channel.secret:
            login = f"{unquote(split.username)}:{channel.secret.reveal()}"
            self._headers["Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
        elif channel.secret:
            self._headers["Authorization"] = f"Bearer {channel.secret.reveal()}"

    async def send(self, message: Message, earlier: str = "") -> Answer:
        """Post an alert an incident; there is no reference.

        Raises:
            ChannelError: they were not taken.
        """
        body = msgspec.json.encode([alert(case, message) for case in message.cases])
        return Answer("", await post(self._channel, self._url, body, self._headers))


def alert(case: Case, message: Message) -> dict[str, object]:
    """An alert, told from others by its labels, which stay the same for as long as the incident is."""
    alone = len(message.cases) == 1
    labels = {
        "alertname": "ClickwardenIncident" if message.stage != "test" else "ClickwardenTest",
        "rule": case.rule,
        "category": case.category,
        "user": inert(case.user_id),
        "incident_id": case.incident_id,
    }
    annotations = {
        "summary": message.title if alone else f"{inert(case.user_id)} breaks rule {case.rule}",
        "description": "\n".join(filter(None, (message.mark, *lines(message)))) if alone else "",
        "severity": inert(case.severity),
    }
    ends = {} if case.ongoing else {"endsAt": case.last_seen}
    link = {"generatorURL": message.link} if message.link else {}
    return {
        "labels": labels,
        "annotations": {name: said for name, said in annotations.items() if said},
        "startsAt": case.since,
        **ends,
        **link,
    }
