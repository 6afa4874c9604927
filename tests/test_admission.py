"""What an HTTP request must be before anyone looks at what it says."""

import pytest
from aiohttp import HttpVersion10, HttpVersion11

from gateway.admission import Admission, check_path, is_value
from gateway.core.errors import BadRequest, UpgradeRequired


class Request:
    """As much of a request as admission looks at."""

    def __init__(self, method="POST", version=HttpVersion11):
        self.method = method
        self.version = version


def admitted(admission, path="/v1/x", method="POST", version=HttpVersion11, **headers):
    read = {"host": "localhost:9000", **{name.replace("_", "-"): value for name, value in headers.items()}}
    admission.check(Request(method, version), path, read)


@pytest.fixture
def loopback():
    return Admission("127.0.0.1")


def test_an_ordinary_request_passes(loopback):
    admitted(loopback, "/v1/x/y:z@1.2~-")
    admitted(loopback, transfer_encoding="chunked")


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "OPTIONS", "get", "BREW"])
def test_methods_that_are_not_served(loopback, method):
    with pytest.raises(BadRequest):
        admitted(loopback, method=method)


@pytest.mark.parametrize(
    "headers", [{"transfer_encoding": "gzip, chunked"}, {"transfer_encoding": "identity"}, {"upgrade": "h2c"}]
)
def test_framing_that_another_server_reads_otherwise(loopback, headers):
    with pytest.raises(BadRequest):
        admitted(loopback, **headers)


def test_chunks_on_http_1_0(loopback):
    with pytest.raises(BadRequest):
        admitted(loopback, version=HttpVersion10, transfer_encoding="chunked")


def test_a_websocket_is_told_to_use_https(loopback):
    with pytest.raises(UpgradeRequired):
        admitted(loopback, method="GET", upgrade="WebSocket")


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1:9000", "127.9.9.9", "[::1]:9000", "localhost."]
)
def test_hosts_of_a_loopback_bind(loopback, host):
    for _ in range(2):  # the second time from memory
        admitted(loopback, host=host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "a@b/c?d",
        "localhost:99999",
        "127.0.0.1.evil.example",
        "localhost:9000:1",
        "[::1",
        "é",
    ],
)
def test_other_hosts_on_a_loopback_bind(loopback, host):
    for _ in range(2):
        with pytest.raises(BadRequest, match="allowed_hosts"):
            admitted(loopback, host=host)


def test_a_public_bind_takes_any_well_formed_host_unless_some_are_listed():
    anywhere = Admission("0.0.0.0")
    admitted(anywhere, host="gateway.example:443")
    with pytest.raises(BadRequest):
        admitted(anywhere, host="a@b")
    listed = Admission("0.0.0.0", ("gateway.example", "other.example:8443"))
    admitted(listed, host="Gateway.Example:9000")
    admitted(listed, host="other.example:8443")
    with pytest.raises(BadRequest):
        admitted(listed, host="other.example")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/gemini/v1beta/models/gemini-2.5-pro:generateContent",
        "/v1/openai/@support/chat/completions",
        "/v1/files/file%20name",
        "/v1/models/caf%C3%A9",
        "/",
        "/v1/a/",
    ],
)
def test_paths_that_mean_one_thing(path):
    check_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "http://localhost/v1/x",
        "*",
        "localhost:80",
        "",
        "/v1/../x",
        "/v1/./x",
        "/v1/%2e%2e/x",
        "/v1/..%2fx",
        "/v1/%2Fx",
        "/v1/%5cx",
        "/v1\\x",
        "/v1/..;/x",
        "/v1/x;y",
        "/v1/%3bx",
        "/v1/%252e%252e/x",
        "//evil.example/x",
        "/v1//x",
        "/v1/%00",
        "/v1/%0a",
        "/v1/%7f",
        "/v1/%E2%80%AE",
        "/v1/\uff0e\uff0e/x",
        "/v1/%EF%BC%8E%EF%BC%8E/x",
        "/v1/%E2%80%A5/x",
        "/v1/%ff",
        "/v1/x#y",
        "/v1/..",
        "/v1/.",
        "/...",
    ],
)
def test_paths_that_servers_read_in_different_ways(path):
    with pytest.raises(BadRequest):
        check_path(path)


def test_what_is_remembered_is_bounded(loopback):
    for number in range(3000):
        admitted(loopback, host=f"127.0.0.{number % 250}:{number}")
    assert len(loopback._hosts) <= 1024


@pytest.mark.parametrize(
    "segment", ["a", "user%2F42", "..", "%2e%2E", "a;b", "%00", "%0a", "%25", "caf%C3%A9", "a+b@c"]
)
def test_segments_that_stand_for_one_text(segment):
    assert is_value(segment)


@pytest.mark.parametrize(
    "segment", ["", "a/b", "a\\b", "a#b", "a?b", "%", "%2", "%zz", "%ff", "%ed%a0%80", "a b", "\u00e9", "a\n"]
)
def test_segments_that_do_not(segment):
    assert not is_value(segment)
