"""expand: what people and addresses use, and whom of the providers to tell of an erasure

Revision ID: 0007
"""

from importlib.resources import files

from alembic import op

revision = "0007"
down_revision = "0006"
kind = "expand"


def upgrade() -> None:
    op.execute(files("uniassist.store.migrations").joinpath("versions/0007_bounds.sql").read_text("utf-8"))
