"""Which Clickwarden this is."""

from importlib.metadata import version

RELEASE = version("clickwarden")
