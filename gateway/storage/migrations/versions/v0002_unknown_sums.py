"""Sums by hour tell what is unknown from 0: they are made anew from the interactions, which are all there."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_KEY = ("agent", "team", "user", "provider", "model")
_SUMS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "cost",
    "baseline_cost",
    "saved_toon",
    "saved_model_optimization",
    "saved_cache",
)


def upgrade() -> None:
    """Make the table again, and fill it."""
    op.drop_table("usage_by_hour")
    made = op.create_table(
        "usage_by_hour",
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in _KEY),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("requests", "failed", "blocked", "unpriced")
        ),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in _SUMS),
        sa.PrimaryKeyConstraint("hour", *_KEY, name="pk_usage_by_hour"),
        comment="Sums of interactions, kept in the transaction that writes them: statistics never read the log.",
        sqlite_with_rowid=False,
    )
    row = sa.table(
        "interactions", sa.column("data", sa.Text()), *map(sa.column, ("facet", "started_at", *_SUMS))
    )
    facet = sa.table("facets", *map(sa.column, ("id", "outcome", "blocked", *_KEY)))
    # One database rounds where the other cuts off; all times are after 1970.
    hours = row.c.started_at / 3600
    # JSON as it is written here, which leaves out what used nothing: no odd row can break this.
    used = row.c.data.contains('"usage_source":"', autoescape=True)
    hour = sa.cast(hours if op.get_bind().dialect.name == "sqlite" else sa.func.floor(hours), sa.Integer)
    key = [hour, *(sa.func.coalesce(facet.c[name], "") for name in _KEY)]
    counted = (
        sa.select(
            *key,
            sa.func.count(),
            sa.func.count().filter(facet.c.outcome != "ok"),
            sa.func.count().filter(facet.c.blocked == sa.true()),
            sa.func.count().filter(row.c.cost.is_(None), used),
            *(sa.func.sum(row.c[name]) for name in _SUMS),
        )
        .join_from(row, facet, facet.c.id == row.c.facet)
        .group_by(*key)
    )
    op.execute(sa.insert(made).from_select([column.name for column in made.columns], counted))
