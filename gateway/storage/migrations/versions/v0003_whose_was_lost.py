"""Whose it was, and what for, of interactions in flight: so that what a dead process had in hand can be found."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns."""
    for name in ("team", "user", "session", "session_source", "requested_model"):
        op.add_column("in_flight", sa.Column(name, sa.Text(), nullable=True))
