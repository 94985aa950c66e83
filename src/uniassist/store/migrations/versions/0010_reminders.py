"""expand: reminders of people, and what their calls were answered

Revision ID: 0010
"""

from importlib.resources import files

from alembic import op

revision = "0010"
down_revision = "0009"
kind = "expand"


def upgrade() -> None:
    op.execute(files("uniassist.store.migrations").joinpath("versions/0010_reminders.sql").read_text("utf-8"))
