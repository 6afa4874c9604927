"""Alembic runs this: the steps are run on the connection, and in the transaction, that ``migrate`` holds."""

from alembic import context

from gateway.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
