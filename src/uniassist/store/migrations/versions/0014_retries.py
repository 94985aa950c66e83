"""expand: an index of retries that serves nothing else

Revision ID: 0014
"""

from importlib.resources import files

from alembic import op

revision = "0014"
down_revision = "0013"
kind = "expand"


def upgrade() -> None:
    op.execute(files("uniassist.store.migrations").joinpath("versions/0014_retries.sql").read_text("utf-8"))
