"""What each destination takes, and what goes to it instead."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "capabilities",
        sa.Column("destination", sa.String(length=32), nullable=False),
        sa.Column("sop_class_uid", sa.String(length=64), nullable=False),
        sa.Column("taken", sa.Boolean(), nullable=False),
        sa.Column("learned_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("destination", "sop_class_uid", name=op.f("pk_capabilities")),
    )
    op.create_table(
        "next_best",
        sa.Column("destination", sa.String(length=32), nullable=False),
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("next_sop_instance_uid", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("destination", "sop_instance_uid", name=op.f("pk_next_best")),
    )
    op.create_index("ix_next_best_study", "next_best", ["study_instance_uid", "destination"])
