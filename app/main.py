"""The one application of this process: importing this module makes it."""

import sys

import mode.loop

from app.application import create
from clickwarden.errors import ClickwardenError
from clickwarden.settings import Settings

mode.loop.use("uvloop")

try:
    settings = Settings.load()
    app = create(settings)
except ClickwardenError as error:
    sys.exit(f"clickwarden: {error}")
