"""The text by which an interaction is found again, and what is looked for in it."""

import re
from collections.abc import Iterable, Iterator
from unicodedata import normalize

from gateway.core.adapter import RequestAdapter
from gateway.core.view import Completion, Message, Part

SEARCHED = 64 << 10
"""Characters of one interaction that search finds."""
_TYPES = frozenset({"text", "tool_call", "tool_result"})
_TERM = re.compile(r'"([^"]+)"(?!\S)|(\S+)')


def searchable(request: RequestAdapter, completion: Completion, limit: int) -> str:
    """Return what is new in a request and what it was answered, in at most so many characters.

    A conversation comes again with every turn, so only what follows the last message of the model is new; where
    there is none, all of it. Where there is no room for everything, the newest messages and the beginning of the
    answer are kept.
    """
    answer = _text(completion.parts())
    room = limit - min(len(answer), limit // 2)
    said: list[str] = []
    for message in _newest_first(request):
        if room <= 1:
            break
        if text := _text(message.parts)[: room - 1]:  # a line break follows
            said.append(text)
            room -= len(text) + 1
    found = "\n".join(filter(None, (*reversed(said), answer)))
    return found[:limit].replace("\0", " ")  # a zero is what not every database can store


def folded(text: str) -> str:
    """Return a text as search compares it: without its case, its form in Unicode, and how its words are spaced.

    Databases fold as they like, some only ASCII, so it is done here, to what is stored and to what is looked for.
    """
    text = text.casefold()
    if not text.isascii():
        # Compatible forms are one: fullwidth letters, ligatures. Some of what that makes has a case again.
        text = normalize("NFKC", normalize("NFKC", text).casefold())
    return " ".join(text.split())


def terms(query: str) -> list[str]:
    """Return what has to occur, folded: each word, and what stands between quotation marks as one."""
    found = (folded(quoted or word) for quoted, word in _TERM.findall(query))
    return list(dict.fromkeys(filter(None, found)))


def _newest_first(request: RequestAdapter) -> Iterator[Message]:
    asked = False
    for element in reversed(request.pieces[1]):
        message = request.read_message(element)
        if message.role != "assistant":
            asked = True
        elif asked:  # else it is the beginning of the answer, which some clients write themselves
            return
        yield message
    yield from reversed(tuple(request.preamble()))


def _text(parts: Iterable[Part]) -> str:
    """Return what a person may have read; neither the model's thoughts nor what has no text of its own."""
    return "\n".join(
        words
        for part in parts
        if part.type in _TYPES
        for words in (part.name, part.text, part.arguments)
        if words
    )
