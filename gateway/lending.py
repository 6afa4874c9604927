"""Answers of errors to requests that went upstream with the operator's own key: they don't show it to who borrows it.

Some providers repeat a key when they refuse it. In an answer with status 400 or above every exact occurrence is taken
out of headers and body; all else keeps its bytes, and its length where it is short enough to be read before its head
leaves. Any other answer passes as it came: a provider that repeats the key in one tells it to the borrower.
"""

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.core.redaction import LEAST_KEY, REDACTED, without_key
from gateway.origin import Answer, Content

_WHOLE = 64 << 10
"""Bytes of a body that are read before any of it passes, so that its length can be stated."""


def without_lent_key(answer: Answer, key: str) -> Answer:
    """Return an answer that, if it is an error's, does not tell the key that was lent for it."""
    if answer.status < 400 or len(key) < LEAST_KEY:
        return answer
    if any(key in value for value in answer.headers.values()):
        answer.headers = _changed(
            [(name, value.replace(key, REDACTED)) for name, value in answer.headers.items()]
        )
    answer.content = _Withholding(answer, key)
    return answer


class _Withholding:
    """The body of an answer, without a key."""

    def __init__(self, answer: Answer, key: str) -> None:
        self._answer = answer
        self._source: Content = answer.content
        self._key = key
        self._begun = self._ended = False
        self._broken: aiohttp.ClientPayloadError | None = None
        self._tail = b""
        """What may be the beginning of the key."""

    def at_eof(self) -> bool:
        """Whether all of it was read."""
        return self._source.at_eof() and not self._tail

    async def readany(self) -> bytes:
        """Return what there is; empty at the end."""
        if not self._begun:
            self._begun = True
            return await self._read_whole()
        if self._broken is not None:
            raise self._broken
        return await self._read_on()

    async def _read_whole(self) -> bytes:
        body = bytearray()
        try:
            while len(body) <= _WHOLE and not self._ended:
                chunk = await self._source.readany()
                body += chunk
                self._ended = not chunk
        except aiohttp.ClientPayloadError as error:
            if not body:
                raise
            self._broken = error  # after what came of it
            del body[len(body) - _begun(bytes(body), self._key.encode()) :]
        answer = self._answer
        if not self._ended and self._broken is None:
            # Too long to be known whole: whether its stated length will hold is not known either.
            answer.headers = _changed(_without_length(answer))
            self._tail = bytes(body)
            return await self._read_on()
        whole = bytes(body)
        told = without_key(whole, self._key)
        if told != whole and self._broken is None and "Content-Length" in answer.headers:
            answer.headers = _changed([*_without_length(answer), ("Content-Length", str(len(told)))])
        return told

    async def _read_on(self) -> bytes:
        key = self._key.encode()
        while not self._ended:
            chunk = await self._source.readany()
            self._ended = not chunk
            data = without_key(self._tail + chunk, self._key)
            begun = 0 if self._ended else _begun(data, key)
            self._tail = data[len(data) - begun :]
            if ready := data[: len(data) - begun]:
                return ready
        return b""


def _begun(data: bytes, key: bytes) -> int:
    """Return how many of the last bytes may be the beginning of the key."""
    return next((n for n in range(min(len(key) - 1, len(data)), 0, -1) if data.endswith(key[:n])), 0)


def _without_length(answer: Answer) -> list[tuple[str, str]]:
    return [(name, value) for name, value in answer.headers.items() if name.lower() != "content-length"]


def _changed(headers: list[tuple[str, str]]) -> "CIMultiDictProxy[str]":
    return CIMultiDictProxy(CIMultiDict(headers))
