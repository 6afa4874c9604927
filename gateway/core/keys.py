"""The key that a request carried, where its answer repeats it: its client may read that, and nobody else ever."""

from gateway.core.interaction import Interaction
from gateway.core.recollection import Recollection
from gateway.core.redaction import LEAST_KEY, REDACTED


def forget_key(i: Interaction) -> None:
    """Take the key out of all that an answer said, before anything is recorded of it."""
    if i.credential is None:
        return
    key = i.credential.secret or i.credential.key
    raw = key.encode(errors="surrogateescape")
    if len(raw) < LEAST_KEY:
        return
    if raw not in i.response and (_is_plain(i) or not _says(i, key)):
        return
    i.response = i.response.replace(raw, REDACTED.encode())
    # Pieces of a text, or what is escaped in one, are whole again where it is shown.
    if any(key in text for text in Recollection.of(i, i.request.body, i.response).answered()):
        i.response = REDACTED.encode()
    i.completion.replace(key, REDACTED)
    i.blocked_tools = tuple(name.replace(key, REDACTED) for name in i.blocked_tools)
    i.decisions = [decision.without(key, REDACTED) for decision in i.decisions]
    unknown: dict[str, int] = {}
    for name, count in i.unknown.items():
        said = name.replace(key, REDACTED)
        unknown[said] = unknown.get(said, 0) + count
    i.unknown = unknown
    if i.error is not None:
        i.error.message = i.error.message.replace(key, REDACTED)


def _is_plain(i: Interaction) -> bool:
    """Whether an answer says nothing but its bytes: all are kept, in one document, with nothing escaped in it."""
    body = i.response
    return not i.response_cut and body.startswith(b"{") and b"\\" not in body and b"\n{" not in body


def _says(i: Interaction, key: str) -> bool:
    """Whether it is in what was read of an answer, of which not everything may be kept."""
    completion = i.completion
    return (
        key in completion.text
        or key in completion.model
        or key in completion.reasoning
        or any(
            key in said for call in completion.tool_calls for said in (call.id, call.arguments, *call.names)
        )
        or any(key in name for name in (*i.unknown, *i.blocked_tools))
        or (i.error is not None and key in i.error.message)
    )
