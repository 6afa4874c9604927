"""What usage costs, exactly: whole numbers all the way, rounded once.

Money is whole nano-dollars. A rate is atto-dollars (10⁻¹⁸) for one token, so that every list price, which is said
in dollars per million tokens, is a whole number. What is not known is ``None``, never 0.
"""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from gateway.core.view import Usage

_ATTO_PER_NANO = 10**9
_MOST = 2**48
"""Nano-dollars of one amount, so that sums of many can be stored: no request costs a quarter of a million dollars."""
_GENERAL = {
    "cache_read": "input",
    "cache_write": "input",
    "cache_write_1h": "cache_write",
    "input_audio": "input",
    "cache_read_audio": "cache_read",
    "reasoning": "output",
    "output_audio": "output",
    "output_image": "output",
}
"""The kind of token whose rate applies where a price list has none for a special one; general ones first."""


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """What one token of each kind costs, in atto-dollars; ``None``: not known."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    input_audio: int | None = None
    cache_read_audio: int | None = None
    output_audio: int | None = None
    output_image: int | None = None
    web_search: int = 0
    """What one search by the provider costs beside its tokens."""
    request: int = 0
    """What one request costs beside its tokens."""
    listed: Mapping[str, str] = {}
    """What was read: who lists it, and the entries as they are there."""

    @classmethod
    def of(cls, source: str, model: str, listed: Mapping[str, Decimal | float | None]) -> "Rates":
        """Read the entries of a price list: dollars per million tokens, per thousand searches and requests."""
        said = {kind: Decimal(str(price)) for kind, price in listed.items() if price is not None}
        rates = {kind: int(price * _scale(kind)) for kind, price in said.items()}
        for kind, general in _GENERAL.items():
            if kind not in rates and general in rates:
                rates[kind] = rates[general]
        entries = {kind: _plain(price) for kind, price in said.items()}
        return cls(**rates, listed={"source": source, "model": model, **entries})

    def cost(self, usage: Usage) -> int | None:
        """Return nano-dollars; ``None`` where some token has no rate, or no such amount can be."""
        fresh, output = usage.input_tokens or 0, usage.output_tokens or 0
        read, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
        parts = []  # tokens that have a rate of their own; what is left of each kind comes last
        if usage.input_audio_tokens:
            audio = min(usage.input_audio_tokens, fresh)
            fresh -= audio
            parts.append((audio, self.input_audio))
        if usage.cache_read_audio_tokens:
            audio = min(usage.cache_read_audio_tokens, read)
            read -= audio
            parts.append((audio, self.cache_read_audio))
        if usage.cache_write_1h_tokens:
            hour = min(usage.cache_write_1h_tokens, written)
            written -= hour
            parts.append((hour, self.cache_write_1h))
        for tokens, rate in (
            (usage.reasoning_tokens, self.reasoning),
            (usage.output_audio_tokens, self.output_audio),
            (usage.output_image_tokens, self.output_image),
        ):
            if tokens:
                part = min(tokens, output)
                output -= part
                parts.append((part, rate))
        parts += [
            (fresh, self.input),
            (read, self.cache_read),
            (written, self.cache_write),
            (output, self.output),
        ]
        total = self.request + (usage.web_searches or 0) * self.web_search
        for count, rate in parts:
            if count:
                if rate is None:
                    return None
                total += count * rate
        return known(_nano(total))

    def saved_by_cache(self, usage: Usage) -> int | None:
        """Return the nano-dollars by which tokens read from the cache were cheaper than others."""
        read = usage.cache_read_tokens
        if read is None or self.input is None or self.cache_read is None:
            return None
        if not read:
            return 0
        return known(_nano(read * (self.input - self.cache_read)))


class Price(msgspec.Struct, frozen=True):
    """A model's price: the rates that hold for every token, by how long the whole input is."""

    tiers: tuple[tuple[int, Rates], ...]
    """Tokens of input that must be exceeded, and the rates from there on; ascending, the first is always met."""

    def rates(self, usage: Usage) -> Rates:
        """Return the rates for a usage."""
        tiers = self.tiers
        if len(tiers) == 1:
            return tiers[0][1]
        whole = (usage.input_tokens or 0) + (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0)
        return next((rates for above, rates in reversed(tiers) if whole > above), tiers[0][1])


def known(nano: int | None) -> int | None:
    """Return an amount; ``None`` for one that can't be: what made it, be it a count or a price, is wrong."""
    return None if nano is None or abs(nano) > _MOST else nano


def dollars(nano: int | None) -> str | None:
    """Return an amount as a decimal of dollars."""
    if not nano:
        return None if nano is None else "0"
    return _plain(Decimal(nano).scaleb(-9))


def _plain(number: Decimal) -> str:
    return format(number.normalize(), "f")


def _scale(kind: str) -> int:
    return 10**15 if kind in ("web_search", "request") else 10**12


def _nano(atto: int) -> int:
    """Round as decimal arithmetic does: half to even."""
    nano, rest = divmod(atto, _ATTO_PER_NANO)
    half = _ATTO_PER_NANO // 2
    return nano + (rest > half or (rest == half and nano & 1 == 1))
