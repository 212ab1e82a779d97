"""What a destination takes, and what goes to it instead of what it does not take.

The promise kept here: what a peer said of a SOP class when an association was negotiated is
remembered for each destination, the newest word only.  An instance that is refused for its class
has its next best entered in the transaction that records the refusal, so a run that is repeated,
or that died in the middle, comes to the same.

A refusal is believed for ``BELIEVED_FOR``; then the best is offered again, as a PACS may have
been renewed.  The last of a chain is always offered: its refusal is a dead letter, in sight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, delete, select, update

from cmr_node.store.database import Database
from cmr_node.store.index import insert
from cmr_node.store.tables import Capability, DeliveryItem, Instance, ItemState, NextBest

BELIEVED_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Taken:
    """Whether a destination takes a SOP class, and when it said so."""

    destination: str
    sop_class_uid: str
    taken: bool
    learned_at: datetime


class Capabilities:
    """What destinations said of SOP classes."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def learn(self, destination: str, classes: Mapping[str, bool], at: datetime) -> None:
        """Remember for each SOP class whether the destination takes it."""
        with self.database.writing() as connection:
            for sop_class_uid, taken in sorted(classes.items()):
                said = {"taken": taken, "learned_at": at}
                row = insert(connection, Capability).values(
                    destination=destination, sop_class_uid=sop_class_uid, **said
                )
                connection.execute(
                    row.on_conflict_do_update(
                        index_elements=[Capability.destination, Capability.sop_class_uid],
                        set_=said,
                    )
                )

    def known(self) -> list[Taken]:
        """Everything that is remembered, by destination and class."""
        with self.database.reading() as connection:
            rows = connection.execute(
                select(
                    Capability.destination,
                    Capability.sop_class_uid,
                    Capability.taken,
                    Capability.learned_at,
                ).order_by(Capability.destination, Capability.sop_class_uid)
            )
            return [Taken(*row) for row in rows]


def chains(uids: Sequence[str], next_best: Mapping[str, str]) -> list[list[str]]:
    """For each of ``uids`` what may go in its place, best first, itself included.

    Raises
    ------
    ValueError
        An instance is among its own next best.
    """
    found = []
    for uid in uids:
        chain = [uid]
        while (following := next_best.get(chain[-1])) is not None:
            if following in chain:
                raise ValueError(f"instance {following} is among its own next best")
            chain.append(following)
        found.append(chain)
    return found


def write_next_best(
    connection: Connection, study_uid: str, destination: str, next_best: Mapping[str, str]
) -> None:
    """Replace what is to go in place of what, for one study and destination."""
    connection.execute(
        delete(NextBest)
        .where(NextBest.study_instance_uid == study_uid)
        .where(NextBest.destination == destination)
    )
    for uid, following in sorted(next_best.items()):
        connection.execute(
            insert(connection, NextBest).values(
                destination=destination,
                sop_instance_uid=uid,
                study_instance_uid=study_uid,
                next_sop_instance_uid=following,
            )
        )


def choose_taken(
    connection: Connection, destination: str, offers: Sequence[Sequence[str]], at: datetime
) -> list[str]:
    """Of each chain the first whose class the destination is not known to refuse, else the last."""
    refused = set(
        connection.execute(
            select(Capability.sop_class_uid)
            .where(Capability.destination == destination)
            .where(~Capability.taken)
            .where(Capability.learned_at > at - BELIEVED_FOR)
        ).scalars()
    )
    if not refused:
        return list(dict.fromkeys(chain[0] for chain in offers))
    uids = {uid for chain in offers if len(chain) > 1 for uid in chain}
    rows = connection.execute(
        select(Instance.sop_instance_uid)
        .where(Instance.sop_instance_uid.in_(uids))
        .where(Instance.sop_class_uid.in_(refused))
    )
    hopeless = set(rows.scalars())
    chosen = (next((uid for uid in chain if uid not in hopeless), chain[-1]) for chain in offers)
    return list(dict.fromkeys(chosen))


def go_over_to_next_best(connection: Connection, destination: str, uid: str) -> bool:
    """Enter what goes in place of an instance refused for its class; whether there is any.

    What the destination has, or has refused, is left as it is.
    """
    following = connection.execute(
        select(NextBest.next_sop_instance_uid, NextBest.study_instance_uid)
        .where(NextBest.destination == destination)
        .where(NextBest.sop_instance_uid == uid)
    ).one_or_none()
    if following is None:
        return False
    item = {
        "destination": destination,
        "sop_instance_uid": following.next_sop_instance_uid,
        "study_instance_uid": following.study_instance_uid,
        "state": ItemState.PENDING,
        "refusals": 0,
        "comment": "",
    }
    connection.execute(insert(connection, DeliveryItem).values(**item).on_conflict_do_nothing())
    connection.execute(
        update(DeliveryItem)
        .where(DeliveryItem.destination == destination)
        .where(DeliveryItem.sop_instance_uid == following.next_sop_instance_uid)
        .where(DeliveryItem.state == ItemState.SUPERSEDED)
        .values(state=ItemState.PENDING)
    )
    return True


def without_next_best() -> Any:
    """A condition on ``DeliveryItem``: nothing goes in its place."""
    return ~(
        select(NextBest.sop_instance_uid)
        .where(
            and_(
                NextBest.destination == DeliveryItem.destination,
                NextBest.sop_instance_uid == DeliveryItem.sop_instance_uid,
            )
        )
        .exists()
    )
