"""expand: what adapter-wechat keeps of its own

Revision ID: 0002
"""

from importlib.resources import files

from alembic import op

revision = "0002"
down_revision = "0001"
kind = "expand"


def upgrade() -> None:
    op.execute(files("uniassist.store.migrations").joinpath("versions/0002_wechat.sql").read_text("utf-8"))
