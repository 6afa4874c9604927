"""Bytes in JSON are no text, however deep they are."""

import pytest

from gateway.core.media import without_media


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (b'{"a": [1, "b", null, {"raw": "AAAA", "c": "d"}]}', '{"a":[1,"b",null,{"c":"d"}]}'),
        (b'{"a": "data:image/png;base64,AAAA"}', '{"a":""}'),
        (b'{"a": "DATA:;BASE64,AAAA"}', '{"a":""}'),
        (b'{"a": "data:text/plain,hello"}', '{"a":"data:text/plain,hello"}'),
        (b'{"a": "see data:image/png;base64,AAAA"}', '{"a":"see data:image/png;base64,AAAA"}'),
        (b'"raw"', '"raw"'),
    ],
)
def test_media(document, text):
    assert without_media(document, frozenset({"raw"})) == text
