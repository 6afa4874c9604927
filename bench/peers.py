"""Both peers of a subject in one process that does not sleep: the mock provider, and whoever generates load.

On loopback whoever sends pays for waking who receives, some 5 µs a time on a virtual machine, and the slower a subject
is, the more often its peers sleep. Over a network nobody pays that for another machine, so here nobody does.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

from bench.upstream import Upstream


@contextlib.asynccontextmanager
async def provider() -> AsyncIterator[int]:
    """The mock provider on this loop; its port."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0, backlog=1024)
    try:
        port: int = server.sockets[0].getsockname()[1]
        yield port
    finally:
        server.close()


@contextlib.contextmanager
def awake() -> Iterator[None]:
    """While it lasts this loop looks for what there is to do without ever waiting for it."""
    loop = asyncio.get_running_loop()
    lasts = True

    def look() -> None:
        if lasts:
            loop.call_soon(look)

    look()
    try:
        yield
    finally:
        lasts = False
