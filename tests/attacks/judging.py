"""The gateway's command line with a stage that fails to judge, where the header ``X-Test-Judge`` says how."""

import asyncio
import builtins
import sys

from gateway.__main__ import main
from gateway.core.interaction import Interaction
from gateway.core.stage import Stage


class FailToJudge(Stage):
    """Raises, or never comes to an end."""

    async def on_tool_calls(self, i: Interaction) -> None:
        how = i.headers.get("x-test-judge", "")
        if how == "hang":
            await asyncio.sleep(3600)
        elif how:
            raise getattr(builtins, how)("a test has provoked this")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], stages=[FailToJudge()]))
