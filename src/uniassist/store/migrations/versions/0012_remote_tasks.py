"""expand: what a run is at the agent that answers it

Revision ID: 0012
"""

from importlib.resources import files

from alembic import op

revision = "0012"
down_revision = "0010"
kind = "expand"


def upgrade() -> None:
    op.execute(files("uniassist.store.migrations").joinpath("versions/0012_remote_tasks.sql").read_text("utf-8"))
