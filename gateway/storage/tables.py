"""The tables of the interaction log. Times are seconds since the epoch, money is whole nano-dollars.

One interaction is one row of ``interactions`` (what is counted: kept for ever) and, where its words are stored,
one row of ``contents`` (kept for the retention time). Ids are UUIDv7, so the order of ids is that of time, and a
span of time is a span of ids.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.type_api import TypeEngine

metadata = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"}
)
# SQLite numbers rows by itself only where the type is INTEGER to the letter.
NUMBER = BigInteger().with_variant(Integer, "sqlite")
# Ids are compared by bytes: a language's own order is slower, and may skip the dashes.
ID = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
FACETS = (
    "source",
    "provider",
    "agent",
    "team",
    "user",
    "model",
    "status",
    "outcome",
    "error_kind",
    "blocked",
)
TOKENS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
)
SAVED = ("toon", "model_optimization", "cache")
MONEY = ("cost", "baseline_cost", *(f"saved_{each}" for each in SAVED))
_TYPES: dict[str, type[TypeEngine[Any]]] = {"status": Integer, "blocked": Boolean}

facets = Table(
    "facets",
    metadata,
    Column("id", NUMBER, primary_key=True),
    # A digest of all the columns that are told apart: some of those may be null, which no unique index compares.
    Column("key", LargeBinary, nullable=False, unique=True),
    # The oldest and the newest interaction with these values: of those that a filter selects, only the facets
    # that were used last can be on the first page.
    Column("first_id", ID, nullable=False),
    Column("last_id", ID, nullable=False),
    *(Column(name, _TYPES.get(name, Text)) for name in FACETS),
    Column("tools", Text),
    comment="What a filter may ask for, once for each combination of values; interactions share them.",
)

facet_tools = Table(
    "facet_tools",
    metadata,
    Column("tool", Text, primary_key=True),
    Column("facet", NUMBER, primary_key=True),
    comment="The tools that answers call, so that they can be asked for one by one.",
)

interactions = Table(
    "interactions",
    metadata,
    Column("id", ID, primary_key=True),
    Column("facet", NUMBER, nullable=False),
    Column("content", NUMBER),
    Column("session", Text),
    Column("started_at", Double, nullable=False),
    Column("duration_ms", Double),
    *(Column(name, BigInteger) for name in (*TOKENS, *MONEY)),
    # The rest of the record, as JSON. Every column costs each insert some 0.2 µs, so only what is selected, grouped
    # or summed is one. It is read leniently: a row that an older version wrote must not break a list.
    Column("data", Text, nullable=False),
    # The newest of one facet, without reading rows of others: every filtered page is read by it.
    Index(None, "facet", "id"),
    # One session in order, and whether an interaction is the last of its session. Most APIs have no sessions, and
    # those rows are not in it.
    Index(
        None,
        "session",
        "id",
        sqlite_where=text("session IS NOT NULL"),
        postgresql_where=text("session IS NOT NULL"),
    ),
    comment="What is counted of each interaction that has ended; kept for ever.",
)

in_flight = Table(
    "in_flight",
    metadata,
    Column("id", ID, primary_key=True),
    Column("started_at", Double, nullable=False),
    *(Column(name, Text) for name in ("worker", "provider", "endpoint", "agent", "virtual_key")),
    *(Column(name, Text) for name in ("team", "user", "session", "session_source", "requested_model")),
    comment="Interactions that have begun; a record replaces its row, and what is left of a dead process is lost.",
)

contents = Table(
    "contents",
    metadata,
    # In the order in which they were written: text search and retention go by it, and no other index is needed.
    Column("number", NUMBER, primary_key=True, autoincrement=False),
    # The interaction's, with its facet: a search need not read that to apply the filters.
    Column("id", ID, nullable=False),
    Column("facet", NUMBER, nullable=False),
    # What search finds, folded: search writes it. Before what is long, which would have to be read first.
    Column("text", Text),
    # The text as it is, where it was made at once; until search has it.
    Column("said", Text),
    # Three hashes one after the other: of the prefix, the last link of the history, and the suffix.
    Column("request", LargeBinary),
    Column("forwarded", LargeBinary),
    # The answer itself: no other interaction has the same bytes.
    Column("response", LargeBinary),
    comment="The words of an interaction: what can be searched, and where its bodies are.",
)

messages = Table(
    "messages",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("used_at", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
    comment="Pieces of bodies, each stored once under its keyed hash.",
)

histories = Table(
    "histories",
    metadata,
    Column("id", LargeBinary, primary_key=True),
    Column("used_at", BigInteger, nullable=False),
    Column("parent", LargeBinary),
    # Its hash, or the message itself where that is small.
    Column("message", LargeBinary),
    Column("content", LargeBinary),
    comment="The messages of a request as a chain, so that a turn adds only what is new in it.",
)

summaries = Table(
    "summaries",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("used_at", BigInteger, nullable=False),
    Column("text", Text, nullable=False),
    comment="What stands in the place of tool results that are not trusted, by the keyed hash of those.",
)

usage_by_hour = Table(
    "usage_by_hour",
    metadata,
    # Hours since the epoch. Statistics read a span of hours, so this comes first; null is written as "" here.
    Column("hour", Integer, primary_key=True, autoincrement=False),
    *(Column(name, Text, primary_key=True) for name in ("agent", "team", "user", "provider", "model")),
    *(Column(name, BigInteger, nullable=False) for name in ("requests", "failed", "blocked", "unpriced")),
    # Of those interactions that know it; null where none does.
    *(Column(name, BigInteger) for name in (*TOKENS, *MONEY)),
    sqlite_with_rowid=False,
    comment="Sums of interactions, kept in the transaction that writes them: statistics never read the log.",
)

state = Table(
    "state",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
    comment="Numbers that the processes share, such as the version of what is configured.",
)


def _entity(name: str, comment: str) -> Table:
    return Table(
        name,
        metadata,
        Column("id", Text, primary_key=True),
        # What is unique among them beside the id: a slug, a hash, a provider and model.
        Column("key", Text, nullable=False, unique=True),
        Column("created_at", Double, nullable=False),
        Column("updated_at", Double, nullable=False),
        Column("data", Text, nullable=False),
        comment=comment,
    )


entities = {
    name: _entity(name, comment)
    for name, comment in (
        ("agents", "Applications that send requests."),
        ("teams", "Groups of agents and users."),
        ("users", "For whom agents work."),
        ("virtual_keys", "Keys of the gateway's own, by their keyed hashes."),
        ("provider_secrets", "The operator's keys, encrypted."),
        ("console_tokens", "What opens the console's API, by keyed hashes."),
        ("tool_invocation_policies", "What is done with calls."),
        ("trusted_data_policies", "What is done with results."),
        ("limits", "How much may be used."),
        ("model_optimization_rules", "When a cheaper model is used."),
        ("prices", "What models cost, where the operator knows better."),
    )
}
"""What is configured, one table per kind, all alike: the entity itself is JSON, which the snapshot reads whole."""

tools = Table(
    "tools",
    metadata,
    # A hash of agent, kind and name: whoever sees the tool writes the same row.
    Column("id", ID, primary_key=True),
    Column("agent", ID, nullable=False),
    # Compared by bytes, as ids are: lists go by it, on both databases alike.
    Column("name", ID, nullable=False),
    Column("kind", Text, nullable=False),
    Column("first_seen", Double, nullable=False),
    Column("last_seen", Double, nullable=False),
    Index(None, "name", "id"),
    Index(None, "agent", "name"),
    comment="The tools that requests declared, so that policies can be written for them.",
)

tool_versions = Table(
    "tool_versions",
    metadata,
    Column("tool", ID, primary_key=True),
    # A hash of description and schema.
    Column("version", ID, primary_key=True),
    Column("first_seen", Double, nullable=False),
    Column("last_seen", Double, nullable=False),
    Column("client", Text, nullable=False),
    Column("description", Text, nullable=False),
    # JSON as it was sent; null where there is none, or it is not kept. How long it is is known all the same.
    Column("parameters", Text),
    Column("parameters_bytes", Integer, nullable=False),
    comment="What each declared tool said of itself, and when.",
)

audit = Table(
    "audit",
    metadata,
    Column("number", NUMBER, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    *(
        Column(name, Text, nullable=False)
        for name in ("actor", "address", "action", "kind", "entity", "result")
    ),
    Column("before", Text),
    Column("after", Text),
    # Of the row before it and of this one: a row that is changed or taken out breaks the chain.
    Column("hash", LargeBinary, nullable=False, unique=True),
    sqlite_autoincrement=True,
    comment="Every write to what is configured, and every attempt at one. Rows are only ever added.",
)
