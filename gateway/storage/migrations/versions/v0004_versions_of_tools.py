"""Tools by agent, with what they said of themselves and when; the table that was there had never a row."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_ID = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.drop_table("tools")
    op.create_table(
        "tools",
        sa.Column("id", _ID, nullable=False),
        sa.Column("agent", _ID, nullable=False),
        sa.Column("name", _ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("first_seen", sa.Double(), nullable=False),
        sa.Column("last_seen", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tools"),
        comment="The tools that requests declared, so that policies can be written for them.",
    )
    op.create_index("ix_tools_name_id", "tools", ["name", "id"])
    op.create_index("ix_tools_agent_name", "tools", ["agent", "name"])
    op.create_table(
        "tool_versions",
        sa.Column("tool", _ID, nullable=False),
        sa.Column("version", _ID, nullable=False),
        sa.Column("first_seen", sa.Double(), nullable=False),
        sa.Column("last_seen", sa.Double(), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=True),
        sa.Column("parameters_bytes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tool", "version", name="pk_tool_versions"),
        comment="What each declared tool said of itself, and when.",
    )
