"""Gauges of the door in, read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cmr_node.store.disk import Disk


class DoorGauges(Collector):
    """What the receive role holds: the disk, and what is not filed yet.

    ``unfiled`` gives the bytes that are durable in the journal but not yet in files.
    """

    def __init__(self, disk: Disk, unfiled: Callable[[], int]) -> None:
        self._disk, self._unfiled = disk, unfiled

    def collect(self) -> Iterable[Metric]:
        """Ask the disk and the intake."""
        yield GaugeMetricFamily(
            "cmr_node_disk_free_bytes", "Free space of the node's folder.", self._disk.free_bytes()
        )
        yield GaugeMetricFamily(
            "cmr_node_disk_state",
            "0 enough, 1 past the soft mark, 2 past the hard mark.",
            int(self._disk.state()),
        )
        yield GaugeMetricFamily(
            "cmr_node_journal_unfiled_bytes",
            "Durable in the journal, not yet a file and in the index.",
            self._unfiled(),
        )
