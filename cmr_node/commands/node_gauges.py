"""Gauges over index and queue, read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cmr_node.jobs.queue import Jobs
from cmr_node.store.database import Database
from cmr_node.store.overview import Overview


class NodeGauges(Collector):
    """What index and queue hold; the work role shows it, on any host the same."""

    def __init__(self, database: Database, jobs: Jobs) -> None:
        self._overview, self._jobs = Overview(database), jobs

    def collect(self) -> Iterable[Metric]:
        """Ask the database."""
        yield from self._totals()
        yield from self._backlog()
        jobs = GaugeMetricFamily("cmr_node_jobs", "Jobs by state.", labels=["kind", "state"])
        for (kind, state), count in self._jobs.counts().items():
            jobs.add_metric([str(kind), str(state)], count)
        yield jobs
        stacks = GaugeMetricFamily(
            "cmr_node_stacks", "Stacks of the newest versions.", labels=["sequence", "decision"]
        )
        for sequence, decision, count in self._overview.stack_counts():
            stacks.add_metric([sequence, decision], count)
        yield stacks
        yield GaugeMetricFamily(
            "cmr_node_dead_letters", "Deliveries that were given up.", self._overview.dead_letters()
        )

    def _totals(self) -> Iterable[Metric]:
        totals = self._overview.totals()
        yield GaugeMetricFamily("cmr_node_studies", "Studies in the index.", totals["studies"])
        yield GaugeMetricFamily(
            "cmr_node_instances", "Instances in the index.", totals["instances"]
        )
        yield GaugeMetricFamily(
            "cmr_node_instances_aside",
            "Instances kept aside: a known SOP Instance UID with other content.",
            totals["aside"],
        )

    def _backlog(self) -> Iterable[Metric]:
        backlog = GaugeMetricFamily(
            "cmr_node_delivery_backlog_instances",
            "Instances not confirmed by a destination.",
            labels=["destination"],
        )
        age = GaugeMetricFamily(
            "cmr_node_delivery_oldest_age_seconds",
            "Age of the oldest unfinished delivery.",
            labels=["destination"],
        )
        now = datetime.now(UTC)
        for destination, count, since in self._overview.backlog():
            backlog.add_metric([destination], count)
            age.add_metric([destination], (now - since).total_seconds() if since else 0.0)
        yield backlog
        yield age
