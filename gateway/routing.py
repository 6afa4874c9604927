"""From a raw path to a provider and one of its endpoints; the matched endpoint decides everything after it."""

from collections.abc import Mapping

import msgspec

from gateway.core.errors import NotFound
from gateway.core.provider import Match, Provider, Providers

_CACHE_SIZE = 1024


class Route(msgspec.Struct, frozen=True):
    """Where a request goes."""

    provider: Provider
    agent: str
    """The agent that the path names; empty: none."""
    match: Match


class Router:
    """Finds routes: ``/v1/{provider}[/@{agent}]{path}``, and the root paths of the native wire formats."""

    def __init__(self, providers: Providers) -> None:
        self._providers = providers
        self._cache: dict[tuple[str, str], Route] = {}

    def provider(self, path: str) -> Provider:
        """Return the provider whose shape an error about this path has."""
        name = path[4:].partition("/")[0] if path.startswith("/v1/") else ""
        named = self._providers.get(name) or self._providers.claimant("POST", path, {}, "")
        return named or self._providers.fallback

    def route(self, method: str, path: str, headers: Mapping[str, str], query: str) -> Route:
        """Find the route of a raw path; raise ``NotFound`` that says what would be one."""
        if found := self._cache.get((method, path)):
            return found
        name, slash, rest = path[4:].partition("/") if path.startswith("/v1/") else ("", "", "")
        provider = self._providers.get(name)
        if provider is None:
            return self._root(method, path, headers, query)
        agent = ""
        rest = slash + rest
        if rest.startswith("/@"):
            agent, slash, rest = rest[2:].partition("/")
            rest = slash + rest
        match = provider.match(method, rest)
        if match is None:
            raise NotFound(
                f"{provider.display_name} has no endpoint {method} {rest[:200] or '/'} here; to forward paths that the "
                f"gateway does not know, set providers.{provider.name}.forward_unlisted = true."
            )
        route = Route(provider, agent, match)
        if len(self._cache) < _CACHE_SIZE:
            self._cache[method, path] = route
        return route

    def _root(self, method: str, path: str, headers: Mapping[str, str], query: str) -> Route:
        provider = self._providers.claimant(method, path, headers, query)
        match = provider.match(method, path) if provider else None
        if provider is None or match is None:
            raise NotFound(
                f"Nothing is served at {method} {path[:200]}; the paths are /v1/{{provider}}/…, with one of "
                f"{', '.join(sorted(self._providers))}."
            )
        return Route(provider, "", match)
