"""The floor: the fastest bare aiohttp hop that forwards plain and streamed answers over one path.

It reads nothing, checks nothing and records nothing. What the gateway costs above it is the price of
what the gateway does.
"""

import argparse
import asyncio

import aiohttp
import uvloop
from aiohttp import hdrs, web
from multidict import CIMultiDict, istr

HOP_BY_HOP = (
    hdrs.CONNECTION,
    hdrs.KEEP_ALIVE,
    hdrs.PROXY_AUTHENTICATE,
    hdrs.PROXY_AUTHORIZATION,
    hdrs.TE,
    hdrs.TRAILER,
    hdrs.TRANSFER_ENCODING,
    hdrs.UPGRADE,
)
REQUEST_DROPS = tuple(map(istr, (*HOP_BY_HOP, hdrs.HOST, hdrs.CONTENT_LENGTH, hdrs.ACCEPT_ENCODING)))
RESPONSE_DROPS = tuple(map(istr, HOP_BY_HOP))
BODY_LIMIT = 32 * 1024 * 1024
BUFFER = 64 * 1024


def forwarded(headers, drops):
    """All headers but those that belong to one connection."""
    kept = CIMultiDict(headers)
    for name in drops:
        kept.popall(name, None)
    return kept


class Hop:
    """Forwards every request to one upstream."""

    def __init__(self, session: aiohttp.ClientSession, upstream: str) -> None:
        self.session = session
        self.upstream = upstream

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        async with self.session.request(
            request.method,
            self.upstream + request.raw_path,
            headers=forwarded(request.headers, REQUEST_DROPS),
            data=await request.read(),
            allow_redirects=False,
        ) as response:
            reply = web.StreamResponse(
                status=response.status, headers=forwarded(response.headers, RESPONSE_DROPS)
            )
            await reply.prepare(request)
            read, write = response.content.readany, reply.write
            while chunk := await read():
                await write(chunk)
            await reply.write_eof()
            return reply


def request_factory(message, payload, protocol, writer, task):
    """A request with our limit for bodies: the low-level server has no setting for it."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=BODY_LIMIT)


async def serve(port: int, upstream: str) -> None:
    """Serve until the process is ended."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        skip_auto_headers=(hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.USER_AGENT, hdrs.CONTENT_TYPE),
        auto_decompress=False,
        read_bufsize=BUFFER,
    ) as session:
        server = web.Server(
            Hop(session, upstream),
            request_factory=request_factory,
            handler_cancellation=True,
            access_log=None,
            auto_decompress=False,
            read_bufsize=BUFFER,
        )
        listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", port)
        await listener.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True, help="for example http://127.0.0.1:8000")
    options = parser.parse_args()
    uvloop.run(serve(options.port, options.upstream))
