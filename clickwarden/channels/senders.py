"""Which sender is a channel's, by the scheme of its url."""

from clickwarden.channels.channel import Channel, Sender

#: What the extra clickwarden[notify] installs.
NEEDED = "aiosmtplib apprise slack-sdk standardwebhooks"

#: Kinds of ours whose url has nothing secret in it: that has a field of its own.
OPEN = ("slackbot", "smtp", "smtps", "smtp+plain", "alertmanager+http", "alertmanager+https")


def sender_of(channel: Channel) -> Sender:
    """What sends to a channel: ours for the kinds that deserve more than a text, Apprise for all others.

    What a kind needs is imported when a channel is of that kind.

    Raises:
        ValueError: url or secret cannot be a channel's, or what it needs is not installed; begins with the
            field, and holds nothing secret.
    """
    try:
        return _sender_of(channel)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"url: {channel.scheme}:// needs {error.name}, which is not installed: pip install {NEEDED}"
        ) from None


def _sender_of(channel: Channel) -> Sender:
    match channel.scheme:
        case "slackbot":
            from clickwarden.channels.slack import SlackSender

            return SlackSender(channel)
        case "smtp" | "smtps" | "smtp+plain":
            from clickwarden.channels.mail import MailSender

            return MailSender(channel)
        case "webhook+http" | "webhook+https":
            from clickwarden.channels.webhook import WebhookSender

            return WebhookSender(channel)
        case "alertmanager+http" | "alertmanager+https":
            from clickwarden.channels.alertmanager import AlertmanagerSender

            return AlertmanagerSender(channel)
    if channel.secret:
        raise ValueError(
            f"secret: {channel.scheme}:// is Apprise's, which has all of it in the url: write it there"
        )
    from clickwarden.channels.apprise import AppriseSender

    return AppriseSender(channel)
