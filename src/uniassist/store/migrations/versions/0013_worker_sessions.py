"""expand: the session that brought a worker's last beat

Revision ID: 0013
"""

from importlib.resources import files

from alembic import op

revision = "0013"
down_revision = "0012"
kind = "expand"


def upgrade() -> None:
    op.execute(files("uniassist.store.migrations").joinpath("versions/0013_worker_sessions.sql").read_text("utf-8"))
