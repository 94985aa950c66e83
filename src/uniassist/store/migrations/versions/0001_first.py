"""expand: the first schema

Revision ID: 0001
"""

from importlib.resources import files

from alembic import op

revision = "0001"
down_revision = None
kind = "expand"


def upgrade() -> None:
    op.execute(files("uniassist.store.migrations").joinpath("versions/0001_first.sql").read_text("utf-8"))
