"""expand: who left adapter-wechat's account, and the files of theirs that are still to be removed

Revision ID: 0003
"""

from importlib.resources import files

from alembic import op

revision = "0003"
down_revision = "0002"
kind = "expand"


def upgrade() -> None:
    op.execute(files("uniassist.store.migrations").joinpath("versions/0003_wechat_left.sql").read_text("utf-8"))
