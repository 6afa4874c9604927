"""How many tokens a text has, as an estimate for every vendor: counted with the table ``o200k_base``.

Rules: the table is package data and never downloaded; it takes 50 MB and a third of a second, so it is loaded
on first use, and ``tiktoken`` is imported only then. Loading holds the interpreter for a tenth of a second, even
from a thread: whoever can do with ``guess`` loads it only where nobody waits. Counting is synchronous and runs at
some 20 MB/s: what may be long is counted off the loop (``gateway.counting``). Billing uses what the provider reports.
"""

import gzip
import hashlib
from base64 import b64decode
from collections.abc import Iterable
from importlib.resources import files
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tiktoken

_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"

# tiktoken has it only inside a function that downloads the table.
_PATTERN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n/]*|"
    r"\s*[\r\n]+|"
    r"\s+(?!\S)|"
    r"\s+"
)

_BYTES_PER_TOKEN = 4


class _Table:
    """The encoding, once it is needed."""

    def __init__(self) -> None:
        self.encoding: tiktoken.Encoding | None = None
        self._lock = Lock()

    def load(self) -> "tiktoken.Encoding":
        """Return the encoding; two threads that need it at once load it once."""
        with self._lock:
            if self.encoding is None:
                self.encoding = _read()
            return self.encoding


def _read() -> "tiktoken.Encoding":
    import tiktoken  # noqa: PLC0415  # 2 MB for those who never count

    data = gzip.decompress(files(__package__).joinpath("o200k_base.tiktoken.gz").read_bytes())
    if hashlib.sha256(data).hexdigest() != _SHA256:
        raise ValueError("the table of tokens is damaged: install the package again")
    ranks = {b64decode(token): int(rank) for token, rank in map(bytes.split, data.splitlines())}
    # Special tokens that stand in a text are text: nobody's words may be worth one token, or be refused.
    encoding = tiktoken.Encoding("o200k_base", pat_str=_PATTERN, mergeable_ranks=ranks, special_tokens={})
    ranks.clear()  # it has them in a table of its own, and keeps these, which take 30 MB, only to be pickled
    return encoding


_table = _Table()


def loaded() -> bool:
    """Whether the table is in memory already."""
    return _table.encoding is not None


def count(texts: Iterable[str]) -> int:
    """Return how many tokens these texts have together."""
    encode = (_table.encoding or _table.load()).encode_ordinary
    return sum(len(encode(text)) for text in texts)


def guess(texts: Iterable[str]) -> int:
    """Return about what ``count`` would, at once: of real requests and answers nine in ten are within a third."""
    return -(-at_most(texts) // _BYTES_PER_TOKEN)


def at_most(texts: Iterable[str]) -> int:
    """Return a number that ``count`` never exceeds, at once: no token is shorter than a byte."""
    return sum(len(text) if text.isascii() else len(text.encode(errors="replace")) for text in texts)
