"""A provider as data: where it is, which endpoints it has, and how it writes its errors."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, TypeVar
from urllib.parse import quote, unquote

import msgspec

from gateway.core.adapter import OpaqueRequest, OpaqueResponse, Quirks, RequestAdapter, ResponseAdapter
from gateway.core.errors import ErrorKind, GatewayError, kind_of_status

_LONGEST_SESSION = 256
_PLACEHOLDER = re.compile(r"\{(\w+)(\+?)\}")


class Endpoint:
    """One method and path of a provider's API.

    ``path`` is what the vendor's SDK appends to its base URL, without a version segment that the provider
    declares in ``versions``; ``{name}`` matches one segment, ``{name+}`` also slashes and colons.
    """

    def __init__(
        self,
        method: str,
        path: str,
        request: type[RequestAdapter] = OpaqueRequest,
        response: type[ResponseAdapter] = OpaqueResponse,
        *,
        carries_calls: bool = False,
        stateful: bool = False,
        listed: bool = True,
    ) -> None:
        self.method = method
        self.path = path
        self.request = request
        self.response = response
        self.carries_calls = carries_calls
        """An answer may hold a tool call; only such answers are ever gated."""
        self.stateful = stateful
        """It reaches what is kept upstream, unseen by policies: batches, stored answers."""
        self.listed = listed
        """It is known; else an operator lets paths through that are not, whatever they lead to."""
        self.opaque = request is OpaqueRequest
        """Both bodies are streamed on unparsed."""
        self.composes = carries_calls and request.compose.__func__ is not RequestAdapter.compose.__func__  # type: ignore[attr-defined]  # a class method has one
        """The gateway itself can ask a model there."""
        self.pattern = _compile(path) if "{" in path else None
        self.name = f"{method} {path}"

    def __repr__(self) -> str:
        return f"<Endpoint {self.name}>"


def _compile(path: str) -> re.Pattern[str]:
    pattern = ""
    position = 0
    for match in _PLACEHOLDER.finditer(path):
        pattern += re.escape(path[position : match.start()])
        pattern += f"(?P<{match[1]}>{'.+' if match[2] else '[^/]+'})"
        position = match.end()
    return re.compile(pattern + re.escape(path[position:]))


class Match(msgspec.Struct, frozen=True):
    """An endpoint that a path leads to."""

    endpoint: Endpoint
    params: Mapping[str, str]
    """What the placeholders matched, percent-decoded."""
    path: str
    """What follows the base URL, spelt as the vendor spells it."""


class UpstreamRequest(msgspec.Struct, frozen=True):
    """A request to a provider as a value, so that signing needs no socket."""

    method: str
    url: str
    headers: Sequence[tuple[str, str]]
    body: bytes = b""

    def __repr__(self) -> str:
        """Tell no secret: some providers take theirs in the URL."""
        return f"<UpstreamRequest {self.method}>"

    def with_header(self, name: str, value: str) -> "UpstreamRequest":
        """Return a copy with one header more."""
        return msgspec.structs.replace(self, headers=(*self.headers, (name, value)))


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A provider's data: what its class declares, what a row or an operator's settings change."""

    name: str
    base_url: str
    display_name: str = ""
    key_variables: tuple[str, ...] = ()
    """Environment variables in which people keep the key, the first that is set wins."""
    key_page: str = ""
    """Where a person gets a key."""
    models_path: str = "/models"
    forward_unlisted: bool = False
    """Forward paths that no endpoint lists, unparsed."""
    prices: str = ""
    """The provider's id in ``genai-prices``; empty: its name, else whoever is at its base URL."""
    token_factor: float = 1.0
    """Tokens of its models in one of ours (``gateway.core.tokens``), on average."""
    quirks: Quirks = Quirks()


class Provider:
    """One vendor's API; instances of a class differ in data."""

    endpoints: ClassVar[tuple[Endpoint, ...]] = ()
    versions: ClassVar[tuple[str, ...]] = ()
    """Version segments that a client may write before an endpoint's path, without slashes."""
    default_version: ClassVar[str] = ""
    """The version to send when the client wrote none; empty: the base URL ends in it, or there is none."""
    session_headers: ClassVar[tuple[str, ...]] = ()
    """Headers in which its clients name their session, in lower case; the first that is there counts."""
    composed_headers: ClassVar[Mapping[str, str]] = {}
    """Headers of requests that the gateway composes: what a client's request says there, else this, if it is not empty."""
    claims_last: ClassVar[bool] = False
    """Its claims on root paths count only where no other provider has one."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.name = row.name
        self.display_name = row.display_name or row.name
        self.base_url = row.base_url.rstrip("/")
        self._static = {(e.method, e.path): e for e in self.endpoints if e.pattern is None}
        self._patterns = [e for e in self.endpoints if e.pattern is not None]

    def __repr__(self) -> str:
        return f"<Provider {self.name}>"

    @property
    def native(self) -> bool:
        """Whether a module registered it; a row, though of the same class, claims no root path."""
        return self.name in _REGISTERED

    def match(self, method: str, path: str) -> Match | None:
        """Find the endpoint of a raw path below the provider's prefix, in any spelling of the version."""
        version, rest = self._split_version(path)
        prefix = f"/{version or self.default_version}" if self.default_version else ""
        if endpoint := self._static.get((method, rest)):
            return Match(endpoint, {}, prefix + rest)
        for endpoint in self._patterns:
            if endpoint.method == method and endpoint.pattern and (found := endpoint.pattern.fullmatch(rest)):
                params = {name: unquote(value) for name, value in found.groupdict().items()}
                return Match(endpoint, params, prefix + rest)
        if self.row.forward_unlisted:
            return Match(Endpoint(method, "/{path+}", listed=False), {}, path)
        return None

    def plain(self, model: str) -> Match | None:
        """Return where a composed request to a model goes, if anywhere."""
        endpoint = next((e for e in self.endpoints if e.composes and not e.request.stream), None)
        if endpoint is None:
            return None
        path = _PLACEHOLDER.sub(lambda _: quote(model, safe=""), endpoint.path)
        return self.match(endpoint.method, path)

    def keeps(self, endpoint: Endpoint) -> bool:
        """Whether an endpoint may reach what is kept upstream: all that is not known to answer and forget."""
        if not endpoint.opaque:
            return False
        names = {found[1] for found in _PLACEHOLDER.finditer(endpoint.path)}
        if endpoint.stateful or names - {"model"}:
            return True
        if endpoint.method == "GET":
            return not endpoint.path.startswith("/models")
        return endpoint.method not in ("POST", "HEAD") or ("GET", endpoint.path) in self._static

    def _split_version(self, path: str) -> tuple[str, str]:
        version = ""
        while True:
            segment, slash, rest = path[1:].partition("/")
            if not slash or segment not in self.versions:
                return version, path
            version, path = segment, "/" + rest

    def session(self, headers: Mapping[str, str]) -> tuple[str, str] | None:
        """Return the session that a header of its clients names, as text that any log can hold, and that header."""
        for name in self.session_headers:
            if said := headers.get(name):
                return said[:_LONGEST_SESSION].encode("utf-8", "backslashreplace").decode(), name
        return None

    def claims(self, method: str, path: str, headers: Mapping[str, str], query: str) -> bool:
        """Whether a path at the gateway's root, with its version segment, is this provider's."""
        return False

    def sign(self, request: UpstreamRequest, secret: str) -> UpstreamRequest:
        """Add a stored secret; the client's own credential never passes here."""
        return request.with_header("Authorization", f"Bearer {secret}")

    def error(self, error: GatewayError, endpoint: Endpoint | None) -> bytes:
        """Return our error as a body of this endpoint. Each provider has it; a row of data is none by itself."""
        raise NotImplementedError

    def error_status(self, error: GatewayError) -> int:
        """Return the status of our error, where a wire has one of its own for it."""
        return error.status

    def error_kind(self, status: int, body: bytes) -> ErrorKind:
        """Map the upstream's own error to a kind; by default by the status alone."""
        return kind_of_status(status)

    def model_ids(self, body: bytes) -> list[str]:
        """Read the ids out of the provider's list of models."""
        return [model.id for model in _models.decode(body).data]


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model] = []


_models = msgspec.json.Decoder(_Models)

_ProviderClass = TypeVar("_ProviderClass", bound=type[Provider])
_REGISTERED: dict[str, tuple[type[Provider], Row]] = {}


def provider(
    name: str,
    *,
    base_url: str,
    display_name: str = "",
    key_variables: tuple[str, ...] = (),
    key_page: str = "",
    models_path: str = "/models",
    prices: str = "",
    token_factor: float = 1.0,
) -> Callable[[_ProviderClass], _ProviderClass]:
    """Register a provider class under a name; registering a name twice raises."""

    def register(cls: _ProviderClass) -> _ProviderClass:
        if name in _REGISTERED:
            raise ValueError(f"provider {name!r} is registered twice: {_REGISTERED[name][0]} and {cls}")
        _REGISTERED[name] = (
            cls,
            Row(
                name=name,
                base_url=base_url,
                display_name=display_name,
                key_variables=key_variables,
                key_page=key_page,
                models_path=models_path,
                prices=prices,
                token_factor=token_factor,
            ),
        )
        return cls

    return register


class Overrides(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a row of a compatible provider, or an operator's settings, say of a provider."""

    like: str = ""
    """A registered provider whose class this row uses; empty: change the provider of that name."""
    base_url: str = ""
    name: str = ""
    """Display name."""
    key_variables: tuple[str, ...] = ()
    key_page: str = ""
    models_path: str = ""
    forward_unlisted: bool | None = None
    stream_usage: str = ""
    prices: str = ""
    token_factor: float = 0.0


class Providers(Mapping[str, Provider]):
    """All providers by name: what modules registered, under what rows and settings change."""

    def __init__(self, rows: Iterable[Mapping[str, Overrides]] = ()) -> None:
        self._rows = tuple(rows)
        self._providers = {name: cls(row) for name, (cls, row) in _REGISTERED.items()}
        for layer in self._rows:
            for name, overrides in layer.items():
                self._providers[name] = self._overridden(name, overrides)
        self._claimants = sorted(
            (p for p in self._providers.values() if type(p).claims is not Provider.claims and p.native),
            key=lambda p: p.claims_last,
        )

    def _overridden(self, name: str, overrides: Overrides) -> Provider:
        like = overrides.like or name
        if like not in self._providers:
            known = ", ".join(sorted(self._providers))
            raise ValueError(f"provider {name!r} is like {like!r}, which is not one of: {known}")
        original = self._providers[like]
        row = original.row
        if overrides.like and not overrides.base_url:
            raise ValueError(f"provider {name!r} needs a base_url")
        if overrides.like:
            row = Row(
                name=name,
                base_url=overrides.base_url,
                models_path=row.models_path,
                token_factor=row.token_factor,
                quirks=row.quirks,
            )
        quirks = row.quirks
        if overrides.stream_usage:
            quirks = msgspec.structs.replace(quirks, stream_usage=overrides.stream_usage)
        return type(original)(
            msgspec.structs.replace(
                row,
                base_url=overrides.base_url or row.base_url,
                display_name=overrides.name or row.display_name,
                key_variables=overrides.key_variables or row.key_variables,
                key_page=overrides.key_page or row.key_page,
                models_path=overrides.models_path or row.models_path,
                forward_unlisted=row.forward_unlisted
                if overrides.forward_unlisted is None
                else overrides.forward_unlisted,
                prices=overrides.prices or row.prices,
                token_factor=overrides.token_factor or row.token_factor,
                quirks=quirks,
            )
        )

    def changed(self, overrides: Mapping[str, Overrides]) -> "Providers":
        """Return a registry with another layer of changes on top."""
        return Providers((*self._rows, overrides)) if overrides else self

    @property
    def fallback(self) -> Provider:
        """The provider whose shape errors have where no provider is known: the one that claims last."""
        return self._claimants[-1]

    def claimant(self, method: str, path: str, headers: Mapping[str, str], query: str) -> Provider | None:
        """Return the provider that a path at the gateway's root belongs to."""
        for candidate in self._claimants:
            if candidate.claims(method, path, headers, query):
                return candidate
        return None

    def __getitem__(self, name: str) -> Provider:
        return self._providers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._providers)

    def __len__(self) -> int:
        return len(self._providers)
