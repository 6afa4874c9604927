"""The first tables, and what text search needs of each database beside them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_SEARCH = {
    # Substrings of three characters and more. The text itself stays where it is; `detail=none` halves the index,
    # and the phrases that this gives up are found by LIKE, which checks each hit.
    "sqlite": (
        """CREATE VIRTUAL TABLE texts USING fts5
        (text, content='contents', content_rowid='number', tokenize='trigram', detail='none')""",
    ),
    # Three bytes in a row, as one number. The extension pg_trgm, which is not on every server and leaves out what is
    # neither letter nor digit, is not needed for that. Nobody needs statistics of it, which cost seconds to make.
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


def upgrade() -> None:
    """Make all of it."""
    op.create_table(
        "agents",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_agents"),
        sa.UniqueConstraint("key"),
        comment="Applications that send requests.",
    )
    op.create_table(
        "audit",
        sa.Column(
            "number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit"),
        sa.UniqueConstraint("hash"),
        comment="Every write to what is configured, and every attempt at one. Rows are only ever added.",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "console_tokens",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_console_tokens"),
        sa.UniqueConstraint("key"),
        comment="What opens the console's API, by keyed hashes.",
    )
    op.create_table(
        "contents",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=False),
        sa.Column("facet", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("said", sa.Text(), nullable=True),
        sa.Column("request", sa.LargeBinary(), nullable=True),
        sa.Column("forwarded", sa.LargeBinary(), nullable=True),
        sa.Column("response", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_contents"),
        comment="The words of an interaction: what can be searched, and where its bodies are.",
    )
    op.create_table(
        "facet_tools",
        sa.Column("tool", sa.Text(), nullable=False),
        sa.Column("facet", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("tool", "facet", name="pk_facet_tools"),
        comment="The tools that answers call, so that they can be asked for one by one.",
    )
    op.create_table(
        "facets",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("first_id", sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=False),
        sa.Column("last_id", sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("agent", sa.Text(), nullable=True),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("user", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("error_kind", sa.Text(), nullable=True),
        sa.Column("blocked", sa.Boolean(), nullable=True),
        sa.Column("tools", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_facets"),
        sa.UniqueConstraint("key"),
        comment="What a filter may ask for, once for each combination of values; interactions share them.",
    )
    op.create_table(
        "histories",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.Column("parent", sa.LargeBinary(), nullable=True),
        sa.Column("message", sa.LargeBinary(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_histories"),
        comment="The messages of a request as a chain, so that a turn adds only what is new in it.",
    )
    op.create_table(
        "in_flight",
        sa.Column("id", sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("endpoint", sa.Text(), nullable=True),
        sa.Column("agent", sa.Text(), nullable=True),
        sa.Column("virtual_key", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_in_flight"),
        comment="Interactions that have begun; a record replaces its row, and what is left of a dead process is lost.",
    )
    op.create_table(
        "interactions",
        sa.Column("id", sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=False),
        sa.Column("facet", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("content", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("session", sa.Text(), nullable=True),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("duration_ms", sa.Double(), nullable=True),
        sa.Column("input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cache_read_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cache_write_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cache_write_1h_tokens", sa.BigInteger(), nullable=True),
        sa.Column("reasoning_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cost", sa.BigInteger(), nullable=True),
        sa.Column("baseline_cost", sa.BigInteger(), nullable=True),
        sa.Column("saved_toon", sa.BigInteger(), nullable=True),
        sa.Column("saved_model_optimization", sa.BigInteger(), nullable=True),
        sa.Column("saved_cache", sa.BigInteger(), nullable=True),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_interactions"),
        comment="What is counted of each interaction that has ended; kept for ever.",
    )
    op.create_index("ix_interactions_facet_id", "interactions", ["facet", "id"], unique=False)
    op.create_index(
        "ix_interactions_session_id",
        "interactions",
        ["session", "id"],
        unique=False,
        sqlite_where=sa.text("session IS NOT NULL"),
        postgresql_where=sa.text("session IS NOT NULL"),
    )
    op.create_table(
        "limits",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_limits"),
        sa.UniqueConstraint("key"),
        comment="How much may be used.",
    )
    op.create_table(
        "messages",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_messages"),
        comment="Pieces of bodies, each stored once under its keyed hash.",
    )
    op.create_table(
        "model_optimization_rules",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_model_optimization_rules"),
        sa.UniqueConstraint("key"),
        comment="When a cheaper model is used.",
    )
    op.create_table(
        "prices",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_prices"),
        sa.UniqueConstraint("key"),
        comment="What models cost, where the operator knows better.",
    )
    op.create_table(
        "provider_secrets",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_provider_secrets"),
        sa.UniqueConstraint("key"),
        comment="The operator's keys, encrypted.",
    )
    op.create_table(
        "state",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_state"),
        comment="Numbers that the processes share, such as the version of what is configured.",
    )
    op.create_table(
        "teams",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_teams"),
        sa.UniqueConstraint("key"),
        comment="Groups of agents and users.",
    )
    op.create_table(
        "tool_invocation_policies",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tool_invocation_policies"),
        sa.UniqueConstraint("key"),
        comment="What is done with calls.",
    )
    op.create_table(
        "tools",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_tools"),
        comment="The tools that requests declared, so that policies can be written for them.",
    )
    op.create_table(
        "trusted_data_policies",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_trusted_data_policies"),
        sa.UniqueConstraint("key"),
        comment="What is done with results.",
    )
    op.create_table(
        "usage_by_hour",
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("blocked", sa.BigInteger(), nullable=False),
        sa.Column("unpriced", sa.BigInteger(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cache_read_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cache_write_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cache_write_1h_tokens", sa.BigInteger(), nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.Column("baseline_cost", sa.BigInteger(), nullable=False),
        sa.Column("saved_toon", sa.BigInteger(), nullable=False),
        sa.Column("saved_model_optimization", sa.BigInteger(), nullable=False),
        sa.Column("saved_cache", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "hour", "agent", "team", "user", "provider", "model", name="pk_usage_by_hour"
        ),
        comment="Sums of interactions, kept in the transaction that writes them: statistics never read the log.",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("key"),
        comment="For whom agents work.",
    )
    op.create_table(
        "virtual_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_virtual_keys"),
        sa.UniqueConstraint("key"),
        comment="Keys of the gateway's own, by their keyed hashes.",
    )
    # How often what is configured was changed; the last row of contents; up to which of them search knows.
    op.execute(
        "INSERT INTO state (name, value) VALUES ('version', 0), ('audit', 0), ('contents', 0), ('indexed', 0)"
    )
    for statement in _SEARCH[op.get_bind().dialect.name]:
        op.execute(statement)
