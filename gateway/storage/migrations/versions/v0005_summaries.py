"""Summaries of tool results, which have to be the same on every later turn, also after a restart."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "summaries",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_summaries"),
        comment="What stands in the place of tool results that are not trusted, by the keyed hash of those.",
    )
