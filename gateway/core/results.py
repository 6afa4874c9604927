"""A tool's result as a policy sees it: the document that its text is, or else the text."""

from collections.abc import Sequence
from typing import Any

from gateway.core.strict import UNREADABLE, tree
from gateway.core.view import Text

TEXT = "text"
"""The key under which a result that is no JSON object or list is judged."""


def content_of(blocks: Sequence[Text]) -> Any:
    """Return what conditions are asked of: of several blocks the list of them, of one what it says.

    A block that is a JSON object or list is that; any other is ``{"text": …}``. Raises ``Ambiguous`` for a document
    that two parsers may read differently: a model reads all of it.
    """
    documents = [_document(block.text) for block in blocks]
    return documents[0] if len(documents) == 1 else documents


def _document(text: str) -> Any:
    bare = text.lstrip()
    if bare.startswith(("{", "[")):
        try:
            return tree(text.encode())[0]
        except (*UNREADABLE, UnicodeEncodeError, ValueError):
            pass
    return {TEXT: text}
