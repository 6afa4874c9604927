"""Bytes as they are stored: compressed where that is worth it.

A stream of events says the same things over and over: compressed it takes a thirtieth, which also costs less to
write. What is short is left alone.
"""

import sys

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_WORTH = 4096
"""Bytes from which on it is worth it."""
_PLAIN, _ZSTD = b"\0", b"\1"
"""Marks of what follows; what is stored plain has one only if it begins like one, since to put it there is to copy."""
_MOST = 512 << 20
"""Bytes that what is stored can have; more of them would be damage."""

_compressor = zstd.ZstdCompressor(level=1)


def packed(content: bytes) -> bytes:
    """Return what is stored for some bytes."""
    if len(content) < _WORTH:
        return _PLAIN + content if content[:1] in (_PLAIN, _ZSTD) else content
    return _ZSTD + _compressor.compress(content, mode=zstd.ZstdCompressor.FLUSH_FRAME)


def unpacked(stored: bytes) -> bytes:
    """Return the bytes for which something is stored; nothing for what can't be read."""
    kind = stored[:1]
    if kind != _ZSTD:
        return bytes(stored[1:] if kind == _PLAIN else stored)
    try:
        return zstd.ZstdDecompressor().decompress(bytes(stored[1:]), max_length=_MOST)
    except zstd.ZstdError:
        return b""
