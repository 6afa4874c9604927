"""What a record says beside its bodies, without what its rules hide: a name that was in a body is no less a secret.

Patterns are applied to every text that a client or a provider chose. A rule that names a place hides what stood there
wherever else it would be shown: what was read of the request is read once more of what is left of it, and what was
read of the answer is shown only if nothing was taken out that is the same, and a tool only if what is left calls it.

A text that came in pieces is whole again where it is shown. Where a pattern matches only then, the body is not kept.
"""

from collections.abc import Callable, Iterable

import msgspec

from gateway.core.adapter import RequestAdapter
from gateway.core.interaction import Interaction
from gateway.core.recollection import Recollection
from gateway.core.record import Record
from gateway.core.redaction import REDACTED, Redactor, Taken

Bodies = tuple[bytes, bytes, bytes]
"""A request, as it was forwarded where that differs, and its answer."""
_GONE = REDACTED.encode()
_LABELS = ("external_agent", "run", "client")
"""What a client says of itself in headers."""
_LONGEST = 256
"""Characters of a name that a sentence repeats."""


def hide(row: Record, i: Interaction, bodies: Bodies, redactor: Redactor) -> Bodies:
    """Take out of a record what must not be stored; return the bodies without it."""
    taken, of_answer = Taken(), Taken()
    request, forwarded = redactor.body(bodies[0], taken), redactor.body(bodies[1], taken)
    answer = redactor.body(bodies[2], of_answer)
    if redactor.has_paths and (i.response_cut or (i.ran and not i.response)):
        of_answer.known = False  # the rest of it is not there to be looked through
    read = Recollection.of(i, request, answer)
    if _shown_by(read.asked, redactor):
        request, forwarded = _GONE, forwarded and _GONE
        read = Recollection.of(i, request, answer)
    if _shown_by(read.answered, redactor):
        answer = _GONE
    _hide_labels(row, i, redactor)
    _hide_request(row, i, request, redactor)
    _hide_asked(row, i, taken, redactor)
    _hide_answer(row, i, of_answer, redactor, read)
    if row.error:
        names = () if of_answer.known else tuple(i.unknown)  # which a refusal to judge lists
        row.error = _sentence(redactor.text(row.error), (*taken.texts, *of_answer.texts, *names))
    return request, forwarded, answer


def _shown_by(texts: Callable[[], Iterable[str]], redactor: Redactor) -> bool:
    """Whether what is left of a body would still show what a pattern matches, once it is read."""
    try:
        return any(map(redactor.hides, texts()))
    except Exception:  # noqa: BLE001  # what can't be read can't be searched for what must not be stored
        return True


def _hide_labels(row: Record, i: Interaction, redactor: Redactor) -> None:
    for name in _LABELS:
        if value := getattr(row, name):
            setattr(row, name, redactor.text(value))
    if row.user and not (i.principal and i.principal.user):
        row.user = redactor.text(row.user)


def _hide_request(row: Record, i: Interaction, left: bytes, redactor: Redactor) -> None:
    again = _read_again(i, left)
    if row.session:
        of_body = i.session == i.request.session
        says = None if again is None else (again.session or ("", ""))[0][:_LONGEST]
        kept = not of_body or _still_says(row.session, left, says)
        if not kept or redactor.text(row.session) != row.session:
            row.session = None  # one word in place of several would make them all one session
    if row.requested_model:
        says = None if again is None else again.model[:_LONGEST]
        kept = not i.request.body or _still_says(row.requested_model, left, says)
        row.requested_model = redactor.text(row.requested_model) if kept else REDACTED
        if row.model:
            row.model = redactor.text(row.model) if kept else REDACTED
    if not i.request.body and i.request_bytes:
        _forget_request(row, i)


def _hide_asked(row: Record, i: Interaction, taken: Taken, redactor: Redactor) -> None:
    """Hide what decisions on results and declared tools repeat of a request."""
    known = taken.known and (bool(i.request.body) or not redactor.has_paths)
    for decision in row.decisions:
        if decision["kind"] != "call":
            for name in ("tool", "call_id"):
                said = decision[name]
                decision[name] = redactor.text(said) if known and said not in taken.texts else REDACTED


def _forget_request(row: Record, i: Interaction) -> None:
    """Of a body that is gone nobody can tell what of it had to be hidden."""
    if row.session_source and row.session_source not in ("header", *i.provider.session_headers):
        row.session = None
    if "model" not in i.request.params:
        row.requested_model = row.requested_model and REDACTED
        row.model = row.model and REDACTED


def _read_again(i: Interaction, left: bytes) -> RequestAdapter | None:
    if not left or i.endpoint.opaque:
        return None
    try:
        return i.endpoint.request(left, i.request.params, i.provider.row.quirks)
    except Exception:  # noqa: BLE001  # a pattern may take out what makes it a document
        return None


def _still_says(value: str, left: bytes, says: str | None) -> bool:
    """Whether what is left of a body says a value still; where it can't be read any more: whether it shows it."""
    return msgspec.json.encode(value)[1:-1] in left if says is None else says == value


def _hide_answer(row: Record, i: Interaction, taken: Taken, redactor: Redactor, left: Recollection) -> None:
    # A name that came in pieces is none of those that were taken out.
    named = {name for call in left.completion.tool_calls for name in (call.name, *call.names)}

    def shown(name: str) -> str:
        return redactor.text(name) if taken.known and name not in taken.texts else REDACTED

    def called(name: str) -> str:
        return shown(name) if name in named or not redactor.has_paths else REDACTED

    if row.response_model:
        row.response_model = shown(row.response_model)
    hidden = {name for name in (*row.tools, *row.blocked_tools) if called(name) != name}
    row.tools = tuple(dict.fromkeys(map(called, row.tools)))
    row.blocked_tools = tuple(map(called, row.blocked_tools))
    for decision in row.decisions:
        if decision["kind"] == "call":
            decision["tool"], decision["call_id"] = called(decision["tool"]), shown(decision["call_id"])
    if "unknown" in row.notes:
        found: dict[str, int] = {}
        for name, count in i.unknown.items():
            said = _sentence(redactor.text(name), taken.texts | hidden) if taken.known else REDACTED
            found[said] = found.get(said, 0) + count
        row.notes = row.notes | {"unknown": found}
    if row.price and REDACTED in (row.model, row.requested_model, row.response_model):
        row.price = {name: value for name, value in row.price.items() if name != "model"}


def _sentence(words: str, taken: Iterable[str]) -> str:
    """Return words of our own without the texts that they repeat, which may be shortened or quoted there."""
    for text in sorted(taken, key=len, reverse=True):
        for form in (text[:_LONGEST], repr(text[:_LONGEST])[1:-1]):
            if form:
                words = words.replace(form, REDACTED)
    return words
