"""The rows of the index, in DICOM's words.

The promise kept here: every state a row can be in has a name and a sentence, and the database
itself is the last line of defence against any other.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

UID = String(64)
DESTINATION = String(32)
NUMBER = BigInteger().with_variant(Integer, "sqlite")


class Instant(TypeDecorator[datetime]):
    """A moment in UTC: an aware datetime in, an aware datetime out (SQLite keeps no zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; the index keeps UTC")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


class VersionState(StrEnum):
    """Queued -> done | failed; a newer version of the study makes it superseded."""

    QUEUED = "queued"  #: complete; a study job is waiting or running
    DONE = "done"  #: every stack has its decision, results are handed to delivery
    FAILED = "failed"  #: the job gave up; ``error`` says why, ``retry`` tries again
    SUPERSEDED = "superseded"  #: a late instance made a newer version


class DeliveryState(StrEnum):
    """Pending -> delivered | dead; new results or ``retry`` bring it back to pending."""

    PENDING = "pending"  #: something is still to be sent; ``next_attempt_at`` says when
    DELIVERED = "delivered"  #: the peer confirmed every instance
    DEAD = "dead"  #: given up; nobody tries again until ``retry``


class ItemState(StrEnum):
    """What became of one instance at one destination."""

    PENDING = "pending"  #: not confirmed yet
    DELIVERED = "delivered"  #: the peer answered that it has it
    REFUSED = "refused"  #: the peer refused it for good as often as we try, or for its SOP class
    SUPERSEDED = "superseded"  #: a newer version of the study no longer has this result


def _states(kind: type[StrEnum]) -> Enum:
    return Enum(
        kind,
        native_enum=False,
        create_constraint=True,
        validate_strings=True,
        values_callable=lambda members: [member.value for member in members],
        length=16,
        name=kind.__name__.lower(),
    )


class Base(DeclarativeBase):
    """All tables; constraints are named so that migrations can find them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Identity(Base):
    """One row: which index this is.  A rebuilt index is another, and so are its jobs."""

    __tablename__ = "identity"

    epoch: Mapped[str] = mapped_column(String(32), primary_key=True)


class Study(Base):
    """One study, from its first instance on."""

    __tablename__ = "studies"

    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    first_received_at: Mapped[datetime] = mapped_column(Instant)
    last_received_at: Mapped[datetime] = mapped_column(Instant)
    #: ``Instance.number`` of the newest instance that is not a product of a node
    last_number: Mapped[int] = mapped_column(NUMBER, default=0)
    #: newest complete version, 0 before the first
    version: Mapped[int] = mapped_column(Integer, default=0)
    #: whether something came after the newest version
    open: Mapped[bool] = mapped_column(Boolean, index=True)


class Instance(Base):
    """One instance on disk; its path follows from the SOP Instance UID."""

    __tablename__ = "instances"
    __table_args__ = (Index("ix_instances_study_number", "study_instance_uid", "number"),)

    number: Mapped[int] = mapped_column(NUMBER, primary_key=True, autoincrement=True)
    sop_instance_uid: Mapped[str] = mapped_column(UID, unique=True)
    sop_class_uid: Mapped[str] = mapped_column(UID)
    transfer_syntax_uid: Mapped[str] = mapped_column(UID)
    study_instance_uid: Mapped[str] = mapped_column(ForeignKey("studies.study_instance_uid"))
    series_instance_uid: Mapped[str] = mapped_column(UID, index=True)
    digest: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    received_at: Mapped[datetime] = mapped_column(Instant)
    calling_ae: Mapped[str] = mapped_column(String(16))
    #: made by a CMR Node, this one or another: stored, never processed again
    own_product: Mapped[bool] = mapped_column(Boolean)
    attributes: Mapped[dict[str, Any]] = mapped_column(JSON)


class Aside(Base):
    """Other content that came under a known SOP Instance UID; kept, never overwritten."""

    __tablename__ = "aside"
    __table_args__ = (UniqueConstraint("sop_instance_uid", "digest"),)

    number: Mapped[int] = mapped_column(NUMBER, primary_key=True, autoincrement=True)
    sop_instance_uid: Mapped[str] = mapped_column(UID)
    study_instance_uid: Mapped[str] = mapped_column(UID, index=True)
    digest: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    received_at: Mapped[datetime] = mapped_column(Instant)
    calling_ae: Mapped[str] = mapped_column(String(16))


class Version(Base):
    """One complete state of a study; a late instance makes the next."""

    __tablename__ = "versions"

    study_instance_uid: Mapped[str] = mapped_column(
        ForeignKey("studies.study_instance_uid"), primary_key=True
    )
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    #: why the study counted as complete (``assemble.completeness``)
    reason: Mapped[str] = mapped_column(Text)
    completed_at: Mapped[datetime] = mapped_column(Instant)
    last_number: Mapped[int] = mapped_column(NUMBER)
    instances: Mapped[int] = mapped_column(Integer)
    submitted: Mapped[bool] = mapped_column(Boolean, index=True, default=False)
    state: Mapped[VersionState] = mapped_column(_states(VersionState))
    error: Mapped[str] = mapped_column(Text, default="")
    finished_at: Mapped[datetime | None] = mapped_column(Instant, default=None)


class Stack(Base):
    """What was found and decided for one stack of one study version."""

    __tablename__ = "stacks"
    __table_args__ = (
        ForeignKeyConstraint(
            ["study_instance_uid", "version"], ["versions.study_instance_uid", "versions.version"]
        ),
    )

    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    sequence: Mapped[str] = mapped_column(String(32))
    view: Mapped[str] = mapped_column(String(32))
    series: Mapped[list[str]] = mapped_column(JSON)
    slices: Mapped[int] = mapped_column(Integer)
    phases: Mapped[int] = mapped_column(Integer)
    decision: Mapped[str] = mapped_column(String(16))
    operation: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)
    #: everything that spoke for or against: sequence, header, crossing planes, findings
    evidence: Mapped[dict[str, Any]] = mapped_column(JSON)
    derived: Mapped[int] = mapped_column(Integer)


class Delivery(Base):
    """The results of one study on their way to one destination."""

    __tablename__ = "deliveries"

    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    destination: Mapped[str] = mapped_column(DESTINATION, primary_key=True)
    state: Mapped[DeliveryState] = mapped_column(_states(DeliveryState), index=True)
    #: counts the jobs submitted for it, so that each has a key of its own
    attempt: Mapped[int] = mapped_column(Integer)
    #: when the current series of attempts began: ``deliver.give_up_after`` counts from here
    since: Mapped[datetime] = mapped_column(Instant)
    failures: Mapped[int] = mapped_column(Integer)
    next_attempt_at: Mapped[datetime] = mapped_column(Instant)
    submitted: Mapped[bool] = mapped_column(Boolean)
    error: Mapped[str] = mapped_column(Text, default="")


class Capability(Base):
    """Whether a destination takes a SOP class, as it last said when an association was made."""

    __tablename__ = "capabilities"

    destination: Mapped[str] = mapped_column(DESTINATION, primary_key=True)
    sop_class_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    taken: Mapped[bool] = mapped_column(Boolean)
    learned_at: Mapped[datetime] = mapped_column(Instant)


class NextBest(Base):
    """What is sent in place of an instance whose SOP class the destination does not take."""

    __tablename__ = "next_best"
    __table_args__ = (Index("ix_next_best_study", "study_instance_uid", "destination"),)

    destination: Mapped[str] = mapped_column(DESTINATION, primary_key=True)
    sop_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(UID)
    next_sop_instance_uid: Mapped[str] = mapped_column(UID)


class DeliveryItem(Base):
    """One instance for one destination."""

    __tablename__ = "delivery_items"
    __table_args__ = (Index("ix_delivery_items_study", "study_instance_uid", "destination"),)

    destination: Mapped[str] = mapped_column(DESTINATION, primary_key=True)
    sop_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(UID)
    state: Mapped[ItemState] = mapped_column(_states(ItemState))
    refusals: Mapped[int] = mapped_column(Integer, default=0)
    #: last C-STORE response status; None before the first answer
    status: Mapped[int | None] = mapped_column(Integer, default=None)
    comment: Mapped[str] = mapped_column(Text, default="")
