"""Every metric, the logging set-up, and the page they are read from.

The promise kept here: base units and bounded labels in metrics; UIDs but never a patient's name
in logs.  Each role is a process of its own with its own ``/metrics``, ``/livez`` and
``/readyz``; gauges over the database are read from it when they are asked for.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from cmr_node.errors import NodeError

logger = logging.getLogger(__name__)

ASSOCIATIONS = Counter(
    "cmr_node_associations_total",
    "Associations asked for by a peer.",
    ["outcome"],  # accepted | called_ae | calling_ae | address | local_limit | connections
)
ASSOCIATIONS_ACTIVE = Gauge("cmr_node_associations_active", "Associations open now.")
STORE_REQUESTS = Counter(
    "cmr_node_store_requests_total",
    "C-STORE requests answered, by status.",
    ["status"],
)
STORE_BYTES = Counter("cmr_node_store_bytes_total", "Data set bytes of answered C-STORE requests.")
STORE_SECONDS = Histogram(
    "cmr_node_store_duration_seconds",
    "From the first byte of a C-STORE data set to its answer.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5, 30),
)
STUDIES_COMPLETED = Counter(
    "cmr_node_studies_completed_total", "Study versions found complete, by what showed it.", ["why"]
)
LATE_INSTANCES = Counter(
    "cmr_node_late_studies_total", "Studies re-opened by an instance after they were complete."
)
STACKS = Counter(
    "cmr_node_stacks_decided_total",
    "Stacks decided in this process.",
    ["sequence", "decision", "reason"],
)
INFERENCE_SECONDS = Histogram(
    "cmr_node_inference_duration_seconds",
    "Wall time of one run of the network, over at most inference.batch pictures.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
NETWORK_HEARD = Counter(
    "cmr_node_network_heard_total",
    "Stacks that the network was to judge, by what it said.",
    ["outcome"],  # sure | doubt | no_image | bad_answer
)
JOB_SECONDS = Histogram(
    "cmr_node_job_duration_seconds",
    "Wall time of one job from start to end.",
    ["kind", "outcome"],  # study | delivery; succeeded | retried | failed
    buckets=(0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600),
)
SENT = Counter(
    "cmr_node_instances_sent_total",
    "C-STORE requests to a destination, by what the answer meant.",
    ["destination", "meaning"],
)


class DoorObserver:
    """Counts what happens at the door (``network.scp.Observer``)."""

    def association_opened(self, peer: str) -> None:
        """One was accepted."""
        ASSOCIATIONS.labels("accepted").inc()
        ASSOCIATIONS_ACTIVE.inc()

    def association_rejected(self, reason: str) -> None:
        """One was turned away."""
        ASSOCIATIONS.labels(reason).inc()

    def association_closed(self, peer: str, outcome: str, seconds: float) -> None:
        """One ended."""
        ASSOCIATIONS_ACTIVE.dec()

    def instance_answered(self, peer: str, status: int, size_bytes: int, seconds: float) -> None:
        """A C-STORE was answered."""
        STORE_REQUESTS.labels(f"0x{status:04X}").inc()
        STORE_SECONDS.observe(seconds)
        STORE_BYTES.inc(size_bytes)


class _Lines(logging.Formatter):
    """An error is its frames and its type; words only of the node's own and the system's.

    Those of a library may quote a value, and so a patient.
    """

    def formatException(self, ei: object) -> str:
        error = ei[1] if isinstance(ei, tuple) else None
        told: list[str] = []
        while isinstance(error, BaseException):
            frames = "".join(traceback.format_tb(error.__traceback__))
            words = f": {error}" if isinstance(error, NodeError | OSError) else ""
            plain = words.replace("\r", "\\r").replace("\n", "\\n")
            told.append(f"{frames}{type(error).__name__}{plain}")
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "\n\nbrought about:\n\n".join(reversed(told))


class _JsonLines(_Lines):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        event = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return json.dumps(event)


class _TextLines(_Lines):
    """Time, level, logger and message; a line break in a value cannot forge a line."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # what another handler may have made of it
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:
        return super().formatMessage(record).replace("\r", "\\r").replace("\n", "\\n")


def set_up_logging(log_format: str, level: str) -> None:
    """Write the node's events to standard error; libraries speak from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if log_format == "json" else _TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.WARNING, logging.getLevelName(level)))
    logging.getLogger("cmr_node").setLevel(level)


Health = Callable[[], str]
"""Says "" when all is well, else what is not."""


class _Page(BaseHTTPRequestHandler):
    """GET /metrics, /livez and /readyz."""

    ready: Health
    timeout = 10.0  # who connects and says nothing is let go (s)

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self._answer(200, generate_latest(REGISTRY), CONTENT_TYPE_LATEST)
        elif self.path == "/livez":
            self._answer(200, b"ok\n")
        elif self.path == "/readyz":
            fault = type(self).ready()
            self._answer(503 if fault else 200, f"{fault or 'ok'}\n".encode())
        else:
            self._answer(404, b"known are /metrics, /livez and /readyz\n")

    def _answer(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        logger.debug("health page: %s", format % args)


@contextmanager
def page(host: str, port: int, ready: Health) -> Iterator[int]:
    """Serve metrics and health while the block runs; yields the port, 0 for none.

    Parameters
    ----------
    port
        0 serves nothing.
    """
    if not port:
        yield 0
        return
    handler = type("Page", (_Page,), {"ready": staticmethod(ready)})
    server = ThreadingHTTPServer((host, port), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="health page", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def collecting(collector: Collector) -> Iterator[None]:
    """Read ``collector`` at each scrape while the block runs."""
    REGISTRY.register(collector)
    try:
        yield
    finally:
        REGISTRY.unregister(collector)
