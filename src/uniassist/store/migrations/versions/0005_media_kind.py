"""expand: what a medium is to be, by which its answer is read

Revision ID: 0005
"""

from importlib.resources import files

from alembic import op

revision = "0005"
down_revision = "0004"
kind = "expand"


def upgrade() -> None:
    op.execute(files("uniassist.store.migrations").joinpath("versions/0005_media_kind.sql").read_text("utf-8"))
