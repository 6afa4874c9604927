"""Providers as data: paths in any spelling, rows, settings, and who claims a path at the root."""

import msgspec
import pytest

from gateway.core import provider as module
from gateway.core.adapter import Quirks, RequestAdapter, ResponseAdapter
from gateway.core.errors import ErrorKind, InternalError
from gateway.core.provider import (
    Endpoint,
    Overrides,
    Provider,
    Providers,
    Row,
    UpstreamRequest,
    provider,
)


class Talk(RequestAdapter):
    pass


class Answer(ResponseAdapter):
    pass


class Acme(Provider):
    endpoints = (
        Endpoint("POST", "/talk", Talk, Answer, carries_calls=True),
        Endpoint("GET", "/models"),
        Endpoint("POST", "/models/{model}:talk", Talk, Answer),
        Endpoint("GET", "/files/{id}/content"),
        Endpoint("POST", "/deploy/{path+}", stateful=True),
    )
    versions = ("v1", "v2")

    def claims(self, method, path, headers, query):
        return path == "/v1/talk"


class Versioned(Acme):
    default_version = "v2"
    claims_last = True

    def claims(self, method, path, headers, query):
        return path.startswith("/v1/")


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr(module, "_REGISTERED", {})
    provider("versioned", base_url="http://v.example/")(Versioned)
    provider(
        "acme",
        base_url="http://acme.example/v1",
        display_name="Acme",
        key_variables=("ACME_KEY",),
        key_page="p",
        models_path="/m",
    )(Acme)


def make(cls=Acme, **row):
    return cls(Row(name="acme", base_url="http://acme.example", **row))


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/talk", ("POST /talk", {}, "/talk")),
        ("POST", "/v1/talk", ("POST /talk", {}, "/talk")),
        ("POST", "/v2/v1/talk", ("POST /talk", {}, "/talk")),
        ("GET", "/talk", None),
        ("POST", "/v3/talk", None),
        ("POST", "/talk/", None),
        ("POST", "/talks", None),
        ("POST", "/v1", None),
        ("POST", "", None),
        ("POST", "/models/m-1:talk", ("POST /models/{model}:talk", {"model": "m-1"}, "/models/m-1:talk")),
        ("POST", "/v1/models/a%2Fb%3Ac:talk", ("POST /models/{model}:talk", {"model": "a/b:c"}, "/models/a%2Fb%3Ac:talk")),
        ("POST", "/models/a/b:talk", None),
        ("POST", "/models/:talk", None),
        ("GET", "/files/f1/content", ("GET /files/{id}/content", {"id": "f1"}, "/files/f1/content")),
        ("GET", "/filesXf1/content", None),
        ("POST", "/deploy/a/b:c", ("POST /deploy/{path+}", {"path": "a/b:c"}, "/deploy/a/b:c")),
    ],
)  # fmt: skip
def test_match(method, path, expected):
    found = make().match(method, path)
    assert (found and (found.endpoint.name, found.params, found.path)) == expected


@pytest.mark.parametrize(
    ("path", "upstream"),
    [("/talk", "/v2/talk"), ("/v1/talk", "/v1/talk"), ("/models/m:talk", "/v2/models/m:talk")],
)
def test_the_version_that_the_client_wrote_or_the_default_one(path, upstream):
    assert make(Versioned).match("POST", path).path == upstream


def composing(path, method="POST", **members):
    kind = type(
        "Composing", (RequestAdapter,), {"compose": classmethod(lambda cls, model, prompt: b""), **members}
    )
    return Endpoint(method, path, kind, carries_calls=True)


def test_where_a_composed_request_goes():
    assert not any(endpoint.composes for endpoint in Acme.endpoints)
    assert make().plain("m") is None
    endpoints = (
        *Acme.endpoints,
        composing("/stream", stream=True),
        composing("/models/{model+}:say"),
        composing("/chat"),
    )
    other = type("Composes", (Versioned,), {"endpoints": endpoints})
    found = make(other).plain("a/b:c d")
    assert (found.endpoint.name, found.params) == ("POST /models/{model+}:say", {"model": "a/b:c d"})
    assert found.path == "/v2/models/a%2Fb%3Ac%20d:say"


def test_forward_unlisted():
    found = make(forward_unlisted=True).match("PUT", "/v9/any:thing")
    assert (found.endpoint.method, found.endpoint.opaque, found.path) == ("PUT", True, "/v9/any:thing")
    assert not found.endpoint.carries_calls


def test_endpoint():
    talk, models = Acme.endpoints[:2]
    assert (talk.opaque, talk.carries_calls, talk.stateful) == (False, True, False)
    assert (models.opaque, models.carries_calls) == (True, False)
    assert Acme.endpoints[4].stateful
    assert repr(talk) == "<Endpoint POST /talk>"


def test_defaults():
    acme = make()
    assert (acme.base_url, acme.display_name, repr(acme)) == (
        "http://acme.example",
        "acme",
        "<Provider acme>",
    )
    assert make(display_name="Acme").display_name == "Acme"
    assert Provider.claims(acme, "POST", "/v1/talk", {}, "") is False
    request = UpstreamRequest("POST", "http://acme.example/talk", (("a", "b"),), b"{}")
    signed = acme.sign(request, "s3cret")
    assert signed.headers == (("a", "b"), ("Authorization", "Bearer s3cret"))
    assert request.headers == (("a", "b"),)
    assert acme.error_kind(429, b"") is ErrorKind.RATE_LIMIT
    assert acme.model_ids(b'{"data": [{"id": "m1", "x": 1}, {"id": "m2"}]}') == ["m1", "m2"]
    assert acme.model_ids(b"{}") == []
    with pytest.raises(NotImplementedError):
        acme.error(InternalError(""), None)


def test_a_name_is_registered_once(registered):
    with pytest.raises(ValueError, match="'acme' is registered twice"):
        provider("acme", base_url="http://other.example")(Acme)


def test_registered(registered):
    providers = Providers()
    assert list(providers) == ["versioned", "acme"]
    assert len(providers) == 2
    assert providers["versioned"].base_url == "http://v.example"
    acme = providers["acme"]
    assert acme.native
    assert acme.row == Row(
        name="acme",
        base_url="http://acme.example/v1",
        display_name="Acme",
        key_variables=("ACME_KEY",),
        key_page="p",
        models_path="/m",
    )
    with pytest.raises(KeyError):
        providers["other"]


def test_rows(registered):
    rows = {
        "mini": Overrides(like="acme", base_url="http://mini.example", name="Mini", stream_usage="never"),
        "micro": Overrides(like="mini", base_url="http://micro.example", key_variables=("MICRO",), forward_unlisted=True),
    }  # fmt: skip
    settings = {
        "acme": Overrides(base_url="http://proxy.example", key_page="q", models_path="/n"),
        "mini": Overrides(),
    }
    providers = Providers([rows]).changed(settings)
    assert type(providers["mini"]) is Acme
    assert not providers["mini"].native
    # A row takes the format of the provider that it is like, but neither its keys nor its name.
    assert providers["mini"].row == Row(
        name="mini",
        base_url="http://mini.example",
        display_name="Mini",
        models_path="/m",
        quirks=Quirks("never"),
    )
    assert providers["micro"].row == Row(
        name="micro",
        base_url="http://micro.example",
        key_variables=("MICRO",),
        models_path="/m",
        forward_unlisted=True,
        quirks=Quirks("never"),
    )
    assert providers["acme"].row == Row(
        name="acme",
        base_url="http://proxy.example",
        display_name="Acme",
        key_variables=("ACME_KEY",),
        key_page="q",
        models_path="/n",
    )
    assert providers.changed({}) is providers


def test_a_row_counts_like_its_model_but_has_prices_of_its_own(registered):
    rows = {
        "acme": Overrides(prices="acme-corp", token_factor=1.5),
        "mini": Overrides(like="acme", base_url="http://mini.example"),
        "micro": Overrides(like="mini", base_url="http://micro.example", prices="m", token_factor=2.0),
    }
    providers = Providers([rows])
    assert {name: (providers[name].row.prices, providers[name].row.token_factor) for name in rows} == {
        "acme": ("acme-corp", 1.5),
        "mini": ("", 1.5),
        "micro": ("m", 2.0),
    }


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            Overrides(like="nobody", base_url="http://x.example"),
            "like 'nobody', which is not one of: acme, versioned",
        ),
        (Overrides(base_url="http://x.example"), "like 'mini'"),
        (Overrides(like="acme"), "'mini' needs a base_url"),
    ],
)
def test_rows_that_make_no_provider(registered, overrides, message):
    with pytest.raises(ValueError, match=message):
        Providers([{"mini": overrides}])


def test_overrides_are_strict():
    with pytest.raises(msgspec.ValidationError):
        msgspec.toml.decode('[mini]\nbase_ur1 = "http://x.example"', type=dict[str, Overrides])


def test_claims(registered):
    providers = Providers([{"mini": Overrides(like="acme", base_url="http://mini.example")}])
    assert providers.claimant("POST", "/v1/talk", {}, "") is providers["acme"]
    assert providers.claimant("POST", "/v1/other", {}, "") is providers["versioned"]
    assert providers.claimant("POST", "/other", {}, "") is None
    assert providers.fallback is providers["versioned"]


class Keeping(Provider):
    endpoints = (
        Endpoint("POST", "/chat", RequestAdapter, ResponseAdapter, stateful=True),
        Endpoint("POST", "/speech"),
        Endpoint("POST", "/images/{model}:predict"),
        Endpoint("GET", "/models"),
        Endpoint("GET", "/models/{model+}"),
        Endpoint("HEAD", "/hello"),
        Endpoint("GET", "/files"),
        Endpoint("POST", "/files"),
        Endpoint("GET", "/files/{file}"),
        Endpoint("DELETE", "/models/{model+}"),
        Endpoint("PUT", "/upload"),
        Endpoint("POST", "/threads/runs", stateful=True),
        Endpoint("GET", "/organizations/{rest+}"),
    )


def test_what_may_reach_what_is_kept_upstream():
    keeping = Keeping(Row(name="acme", base_url="http://acme.example", forward_unlisted=True))
    kept = [endpoint.name for endpoint in keeping.endpoints if keeping.keeps(endpoint)]
    assert kept == [
        "GET /files",
        "POST /files",
        "GET /files/{file}",
        "DELETE /models/{model+}",
        "PUT /upload",
        "POST /threads/runs",
        "GET /organizations/{rest+}",
    ]
    unlisted = keeping.match("POST", "/anything")
    assert unlisted is not None
    assert keeping.keeps(unlisted.endpoint)
