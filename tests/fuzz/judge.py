"""What policies say of a call, decided slowly and from the rules alone: no code is shared with what is judged."""

import json  # noqa: TID251  # another parser than the gateway's
import re
import unicodedata
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from tests.core.reference_conditions import hold
from tests.fuzz.case import Policy, Rule

_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")
Call = tuple[str, Any]
"""A name, and arguments: an object, a text as it came, or ``None`` for unknown ones."""


def refused(policy: Policy, call: Call) -> bool:
    """Whether a client may not see a call, however it reads the text of the arguments."""
    name, arguments = call
    if not _NAME.fullmatch(name):
        return True
    readings = list(objects(arguments)) if isinstance(arguments, str) else [arguments]
    return any(_refused(policy, name, reading) for reading in readings or [None])


def objects(text: str) -> Iterator[Any]:
    """Yield the objects that parsers may read in a text: with the first or last of equal keys, and only its beginning."""
    if not text.strip():
        yield {}
        return
    for keep in (dict, _first_wins):
        try:
            value, _ = json.JSONDecoder(object_pairs_hook=keep, parse_constant=str).raw_decode(text.lstrip())
        except (ValueError, RecursionError):
            return
        if isinstance(value, dict):
            yield value


def _first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(reversed(pairs))


def _refused(policy: Policy, name: str, arguments: dict[str, Any] | None) -> bool:
    forms = set(_forms(name))
    rules = [rule for rule in policy.rules if any(_is_for(rule, form) for form in forms)]
    specific = [rule for rule in rules if rule.conditions]
    matching = [rule for rule in specific if _holds(rule, arguments)]
    if arguments is None and any(not _refuses(rule.action, policy) for rule in specific):
        return False  # it depends on what nobody knows
    if matching:
        return any(_refuses(rule.action, policy) for rule in matching)
    defaults = [rule for rule in rules if not rule.conditions]
    near = [rule for rule in defaults if not re.search(r"[*?\[]", rule.tool)]
    if counted := near or defaults:
        return any(_refuses(rule.action, policy) for rule in counted)
    return _refuses(policy.default, policy)


def _holds(rule: Rule, arguments: dict[str, Any] | None) -> bool:
    return arguments is not None and hold(rule.conditions, arguments, {})


def _refuses(action: str, policy: Policy) -> bool:
    return action in ("block_always", "require_approval") or (
        action == "block_when_context_is_untrusted" and policy.untrusted
    )


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _forms(name: str) -> Iterator[str]:
    name = _folded(name)
    yield name
    while match := re.fullmatch(r"mcp__.*?__(.+)", name, re.DOTALL):
        name = match[1]
        yield name


def _is_for(rule: Rule, form: str) -> bool:
    return fnmatchcase(form, _folded(rule.tool))
