"""The rules in force: followed from the topic, and taken up by every partition."""

from agents.clicks import partitions
from app.main import app


@app.companion
async def follow() -> None:
    """Read on in the rules topic."""
    await app.rulestopic.follow()


@app.timer(0.25)
async def take_up() -> None:
    """Have every partition take up rules that have changed."""
    async with app.crash_on_error():
        await partitions.take_up()
