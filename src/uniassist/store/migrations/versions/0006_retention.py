"""expand: indexes for retention and for what belongs to one person

Revision ID: 0006
"""

from importlib.resources import files

from alembic import op

revision = "0006"
down_revision = "0005"
kind = "expand"


def upgrade() -> None:
    op.execute(files("uniassist.store.migrations").joinpath("versions/0006_retention.sql").read_text("utf-8"))
