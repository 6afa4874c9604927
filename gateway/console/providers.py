"""Providers, and the operator's keys for them, which can be set and replaced and never read.

Which providers there are and where they are is not changed from here: a base URL is where keys go, so that stays
in the hands of whoever writes the configuration file.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.console.actors import Role
from gateway.console.data import Data
from gateway.console.refusals import Refusal, not_found
from gateway.console.routes import Call, Route
from gateway.core.credentials import PREFIX
from gateway.core.entities import ProviderSecret
from gateway.secrets import Keyring
from gateway.storage.queries import entities
from gateway.storage.snapshot import SECRET_FIELD

_KIND = "provider_secrets"
_HINTED = 16
"""Characters of the shortest key whose last four tell nothing."""
_MOST = 1000

Key = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class NewKey(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A key for a provider that has none stored."""

    provider: str
    api_key: Key

    def __repr__(self) -> str:
        """Tell no secret, whoever shows it."""
        return f"<NewKey of {self.provider}>"


class ReplacedKey(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Another key for a provider."""

    api_key: Key

    def __repr__(self) -> str:
        return "<ReplacedKey>"


class ShownProvider(msgspec.Struct, kw_only=True):
    """A provider, and whether there is a key for it."""

    id: str
    name: str
    base_url: str
    key_page: str
    key: Literal["none", "configured", "stored"]
    """``configured``: by the environment or the configuration file, which count before a stored one."""
    hint: str
    """The end of the stored key."""
    stored: bool
    """A key is stored, whether or not it is the one that counts."""


class ShownProviders(msgspec.Struct):
    """Every provider."""

    items: list[ShownProvider]
    next: str | None = None


class ProviderRoutes:
    """Shows providers, and takes keys for them."""

    def __init__(self, data: Data, keyring: Keyring, configured: Mapping[str, str]) -> None:
        """``configured``: the keys that environment and file give."""
        self._data = data
        self._keyring = keyring
        self._configured = configured

    def routes(self) -> list[Route]:
        """Return the routes."""
        path = "/api/providers"
        return [
            Route(
                method="GET", path=path, role=Role.READ, handle=self._list, answer=ShownProviders,
                summary="All providers.",
            ),
            Route(
                method="POST", path=path, role=Role.ADMIN, handle=self._create, body=NewKey, status=201,
                answer=ShownProvider, summary="Store a key for a provider.",
            ),
            Route(
                method="GET", path=f"{path}/{{id}}", role=Role.READ, handle=self._read, answer=ShownProvider,
                summary="One provider.",
            ),
            Route(
                method="PATCH", path=f"{path}/{{id}}", role=Role.ADMIN, handle=self._update, body=ReplacedKey,
                answer=ShownProvider, summary="Replace the stored key of a provider.",
            ),
            Route(
                method="DELETE", path=f"{path}/{{id}}", role=Role.ADMIN, handle=self._delete,
                summary="Delete the stored key of a provider.",
            ),
        ]  # fmt: skip

    async def _list(self, _: Call) -> ShownProviders:
        async with self._data.read() as connection:
            rows, _next = await entities.page(connection, _KIND, ProviderSecret, _MOST)
        stored = {row.provider: row for row in rows}
        return ShownProviders(
            [self._shown(name, stored.get(name)) for name in sorted(self._data.snapshot.providers)]
        )

    async def _read(self, call: Call) -> ShownProvider:
        name = self._known(call.params["id"])
        async with self._data.read() as connection:
            return self._shown(name, await entities.read(connection, _KIND, name, ProviderSecret))

    async def _create(self, call: Call) -> ShownProvider:
        body: NewKey = call.body
        if body.provider not in self._data.snapshot.providers:
            raise Refusal(
                400, "There is no such provider; a new one is declared in the configuration file.", "provider"
            )
        row = self._sealed(body.provider, body.api_key)
        async with self._data.write() as connection:
            await entities.create(connection, _KIND, row, call.actor.name, call.peer)
        return self._shown(body.provider, row)

    async def _update(self, call: Call) -> ShownProvider:
        name = self._known(call.params["id"])
        row = self._sealed(name, call.body.api_key)
        async with self._data.write() as connection:
            await self._stored(connection, name)
            await entities.update(connection, _KIND, row, call.actor.name, call.peer)
        return self._shown(name, row)

    async def _delete(self, call: Call) -> None:
        name = self._known(call.params["id"])
        async with self._data.write() as connection:
            row = await self._stored(connection, name)
            await entities.delete(connection, _KIND, row.id, call.actor.name, call.peer)

    def _known(self, name: str) -> str:
        if name not in self._data.snapshot.providers:
            raise not_found("provider")
        return name

    async def _stored(self, connection: AsyncConnection, name: str) -> ProviderSecret:
        row = await entities.read(connection, _KIND, name, ProviderSecret)
        if row is None:
            raise Refusal(404, "No key is stored for this provider; POST one.")
        return row

    def _sealed(self, provider: str, secret: str) -> ProviderSecret:
        if not secret.isascii() or not secret.isprintable() or " " in secret:
            raise Refusal(400, "A key is printable ASCII without spaces.", "api_key")
        if secret.startswith(PREFIX):
            raise Refusal(400, "This is one of the gateway's own keys, not the provider's.", "api_key")
        hint = secret[-4:] if len(secret) >= _HINTED else ""
        # A provider has one key, so its name is the id, to which the ciphertext is bound.
        ciphertext = self._keyring.seal(secret, provider, SECRET_FIELD)
        return ProviderSecret(id=provider, provider=provider, hint=hint, ciphertext=ciphertext)

    def _shown(self, name: str, stored: ProviderSecret | None) -> ShownProvider:
        provider = self._data.snapshot.providers[name]
        state: Any = "configured" if name in self._configured else "stored" if stored else "none"
        return ShownProvider(
            id=name,
            name=provider.display_name,
            base_url=provider.base_url,
            key_page=provider.row.key_page,
            key=state,
            hint=stored.hint if stored else "",
            stored=stored is not None,
        )
