"""expand: the plans that provider-plan keeps of people

Revision ID: 0009
"""

from importlib.resources import files

from alembic import op

revision = "0009"
down_revision = "0008"
kind = "expand"


def upgrade() -> None:
    op.execute(files("uniassist.store.migrations").joinpath("versions/0009_plans.sql").read_text("utf-8"))
