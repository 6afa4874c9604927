"""The gateway's command line with one more stage, which takes its time: 20 ms of the gateway's own."""

import asyncio
import sys

from gateway.__main__ import main
from gateway.core.interaction import Interaction
from gateway.core.stage import Stage

SECONDS = 0.02


class Slow(Stage):
    """A feature that is slow for every request."""

    async def on_request(self, i: Interaction) -> None:
        await asyncio.sleep(SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], stages=[Slow()]))
