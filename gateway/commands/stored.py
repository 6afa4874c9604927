"""What commands have in common that read or write the database, whether or not a gateway runs on it."""

import os
import pwd
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import SQLAlchemyError

from gateway.commands import CommandError
from gateway.settings import Settings, SettingsError
from gateway.storage.database import Database, DatabaseUnusable


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[Database]:
    """Lend the database, to be opened or not."""
    try:
        lent = Database(settings.database, b"")  # no command stores a body, which is what the key is for
        try:
            yield lent
        finally:
            await lent.close()
    except DatabaseUnusable as error:
        raise SettingsError(f"{settings.place('database_url')}{error}") from None
    except BrokenPipeError:
        raise  # nobody reads the output any more
    except (SQLAlchemyError, OSError) as error:
        raise CommandError(
            f"the database can't do this now: {getattr(error, 'orig', None) or error}"
        ) from None


def actor() -> str:
    """Return who the audit log says it was: the user whose process this is."""
    user = os.getuid()
    try:
        return f"cli:{pwd.getpwuid(user).pw_name}"
    except KeyError:  # as in a container
        return f"cli:{user}"
