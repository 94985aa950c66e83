"""expand: the Redis epoch that each shard of the outbox was settled in last

Revision ID: 0004
"""

from importlib.resources import files

from alembic import op

revision = "0004"
down_revision = "0003"
kind = "expand"


def upgrade() -> None:
    op.execute(files("uniassist.store.migrations").joinpath("versions/0004_settled_epochs.sql").read_text("utf-8"))
