"""expand: what operators did through the console

Revision ID: 0011
"""

from importlib.resources import files

from alembic import op

revision = "0011"
down_revision = "0010"
kind = "expand"


def upgrade() -> None:
    op.execute(files("uniassist.store.migrations").joinpath("versions/0011_operator_acts.sql").read_text("utf-8"))
