"""Where a client's key may be in a request, and how one of the gateway's own looks.

A request has one key: two different ones are refused, since which of them counts would depend on who reads it. A
virtual key must never reach a provider, so wherever one stands that is no place for it, the request is refused.
"""

import re
from base64 import b64decode
from collections.abc import Sequence
from urllib.parse import parse_qsl, unquote_plus

from gateway.core.errors import BadRequest

PREFIX = "gw_"
VIRTUAL_KEY = re.compile(r"gw_[A-Za-z0-9_-]{43,128}")
_INSIDE = re.compile(r"(?<![A-Za-z0-9_-])gw_[A-Za-z0-9_-]{43}")
"""One that begins where a word does: a provider's key may hold the same letters by chance."""
_QUERY = frozenset({"key", "api_key", "api-key", "apikey", "access_token", "oauth_token"})
"""Parameters in which clients send a key, in lower case."""
_SIGNS = ("key", "token", PREFIX, "%", "+")
"""What a query that holds a key has one of."""


def holds_virtual_key(text: str) -> bool:
    """Whether a virtual key stands anywhere in a text."""
    return PREFIX in text and _INSIDE.search(text) is not None


def presented_key(headers: Sequence[tuple[str, str]], query: str) -> str:
    """Return the key of a request; empty: it has none. ``headers``: those that may carry one."""
    keys = set()
    misplaced = False
    for name, value in headers:
        if not value.isascii():
            raise BadRequest(f"The {name} header is not ASCII.")
        scheme, _, rest = value.strip().partition(" ")
        key = rest.strip() if scheme.lower() == "bearer" else value.strip()
        keys.add(key)
        misplaced = misplaced or (not key.startswith(PREFIX) and _conceals(scheme, rest, key))
    if query and _is_worth_reading(query):
        for name, value in parse_qsl(query, keep_blank_values=True):
            key = value.strip() if name.lower() in _QUERY else ""
            keys.add(key)
            misplaced = misplaced or (not key.startswith(PREFIX) and holds_virtual_key(f"{name} {value}"))
    keys.discard("")
    if len(keys) > 1:
        raise BadRequest("The request carries two different credentials; send one.")
    if misplaced:
        raise BadRequest(
            "A virtual key stands where none is read; send it as a bearer token, or as your SDK sends its API key."
        )
    return keys.pop() if keys else ""


def _conceals(scheme: str, rest: str, key: str) -> bool:
    """Whether a virtual key stands inside of a header's value, be it the password of basic authentication."""
    if holds_virtual_key(key):
        return True
    if scheme.lower() != "basic":
        return False
    try:
        return holds_virtual_key(b64decode(rest).decode("latin-1"))
    except ValueError:
        return False


def _is_worth_reading(query: str) -> bool:
    lower = query.lower()
    return any(sign in lower for sign in _SIGNS)


def without_credentials(query: str) -> str:
    """Return a query without the parameters in which clients send a key; all else keeps its bytes."""
    if not query or not _is_worth_reading(query):
        return query
    kept = [p for p in query.split("&") if unquote_plus(p.partition("=")[0]).lower() not in _QUERY]
    return "&".join(kept)


def credentials_in(query: str) -> str:
    """Return only those parameters of a query, as they came."""
    if not query or not _is_worth_reading(query):
        return ""
    return "&".join(p for p in query.split("&") if unquote_plus(p.partition("=")[0]).lower() in _QUERY)
