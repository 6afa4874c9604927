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
_MOST = 512 << 20
"""Bytes that what is stored can have; more of them would be damage."""

_compressor = zstd.ZstdCompressor(level=1)


def packed(content: bytes) -> bytes:
    """Return what is stored for some bytes."""
    if len(content) < _WORTH:
        return _PLAIN + content
    return _ZSTD + _compressor.compress(content, mode=zstd.ZstdCompressor.FLUSH_FRAME)


def unpacked(stored: bytes) -> bytes:
    """Return the bytes for which something is stored; nothing for what can't be read."""
    kind, content = stored[:1], bytes(stored[1:])
    if kind == _PLAIN:
        return content
    try:
        return zstd.ZstdDecompressor().decompress(content, max_length=_MOST) if kind == _ZSTD else b""
    except zstd.ZstdError:
        return b""
