"""A new database as this version has it, at once: migrations are for those that are there already.

What stands here beside the tables is what a dialect alone has, and the first rows; a test holds all of it against
what the migrations make.
"""

from sqlalchemy import text
from sqlalchemy.engine import Connection

from gateway.storage.tables import metadata, state

_STATE = ("version", "audit", "contents", "indexed")
"""How often what is configured was changed, the last row of two tables, and up to which of one search knows."""
_SEARCH = {
    "sqlite": (
        """CREATE VIRTUAL TABLE texts USING fts5
        (text, content='contents', content_rowid='number', tokenize='trigram', detail='none')""",
    ),
    "postgresql": (
        """CREATE FUNCTION gateway_trigrams(said text) RETURNS integer[]
        LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 1000 AS $$
        SELECT array_agg((get_byte(b, i) << 16) + (get_byte(b, i + 1) << 8) + get_byte(b, i + 2))
        FROM convert_to(said, 'UTF8') AS b, generate_series(0, length(b) - 3) AS i $$""",
        """CREATE INDEX ix_contents_text ON contents USING gin (gateway_trigrams(text))
        WHERE text IS NOT NULL""",
        "ALTER INDEX ix_contents_text ALTER COLUMN 1 SET STATISTICS 0",
    ),
}


def create(connection: Connection, revision: str) -> None:
    """Make everything, and note of which revision it is."""
    metadata.create_all(connection)
    connection.execute(state.insert(), [{"name": name, "value": 0} for name in _STATE])
    for statement in _SEARCH[connection.dialect.name]:
        connection.execute(text(statement))
    # As Alembic makes it, which is not imported for this: it takes a fifth of a second and 10 MB.
    connection.execute(
        text(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(
        text("INSERT INTO alembic_version (version_num) VALUES (:revision)"), {"revision": revision}
    )
