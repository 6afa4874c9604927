"""The fake provider as a process of its own: `python -m gateway.demo --port 8100`."""

import argparse
import asyncio
import signal
import sys

import uvloop

from gateway.demo import start


async def serve(host: str, port: int, pace: float) -> None:
    """Serve until a signal comes."""
    running = await start(host, port, pace=pace)
    sys.stdout.write(f"{running.url}\n")
    sys.stdout.flush()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    await running.stop()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m gateway.demo", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8100)
    parser.add_argument("--pace", type=float, default=0.0, metavar="SECONDS", help="pause between pieces")
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.host, arguments.port, arguments.pace))


if __name__ == "__main__":
    main()
