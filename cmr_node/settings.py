"""Every setting, with its unit, its default and one sentence.

The promise kept here: a node never runs on a setting that nobody meant.  One TOML file, then
``CMR_NODE_<SECTION>_<NAME>`` from the environment on top; an unknown name or a bad value is
refused with the key, the value found and what is allowed.  Read once by ``cli``, handed down.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from cmr_node.errors import ConfigurationError
from cmr_node.peer import LOOPBACK as LOOPBACK
from cmr_node.peer import AETitle, Port
from cmr_node.peer import Peer as Peer
from cmr_node.peer import Section as Section

ENVIRONMENT_PREFIX = "CMR_NODE_"
KIBI, MEBI, GIBI = 1 << 10, 1 << 20, 1 << 30

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Storage(Section):
    """Where the node keeps what it was sent."""

    root: Path = Field(
        Path("/var/lib/cmr-node"),
        description="Folder of the instances, the journal and the SQLite files; must survive a "
        "power cut.",
    )
    database: str = Field(
        "",
        description="SQLAlchemy URL of index and queue, as postgresql+psycopg://user@host/cmr; "
        "empty means SQLite files in root.",
    )
    soft_free_bytes: int = Field(
        10 * GIBI, ge=0, description="With less free disk than this no new work is started (bytes)."
    )
    hard_free_bytes: int = Field(
        2 * GIBI,
        ge=0,
        description="With less free disk than this C-STORE is answered 0xA700 (bytes).",
    )
    spill_bytes: int = Field(
        4 * MEBI,
        ge=64 * KIBI,
        description="An instance larger than this goes to a file of its own while it arrives "
        "(bytes).",
    )

    @model_validator(mode="after")
    def _hard_below_soft(self) -> Self:
        if self.hard_free_bytes > self.soft_free_bytes:
            raise ValueError(
                f"hard_free_bytes {self.hard_free_bytes} must not exceed "
                f"soft_free_bytes {self.soft_free_bytes}"
            )
        return self

    @property
    def index_url(self) -> str:
        """SQLAlchemy URL of the index."""
        return self.database or f"sqlite:///{self.root / 'index.sqlite'}"

    @property
    def queue_url(self) -> str:
        """SQLAlchemy URL of the queue engine's tables."""
        return self.database or f"sqlite:///{self.root / 'queue.sqlite'}"


class Receive(Section):
    """The door in: the C-STORE SCP."""

    ae_title: AETitle = Field("CMRNODE", description="Called AE title; another one is rejected.")
    # every interface: who may come in is the peer list's business, loopback alone by default
    host: str = Field("0.0.0.0", description="Address to listen on.")  # noqa: S104
    port: Port = Field(11112, description="TCP port to listen on; 0 takes a free one.")
    max_associations: int = Field(
        20, ge=1, le=1000, description="Associations at once; one more is rejected as transient."
    )
    max_pdu_bytes: int = Field(
        128 * KIBI, ge=4 * KIBI, le=MEBI, description="Largest PDU the node accepts (bytes)."
    )
    idle_timeout: Seconds = Field(
        60, gt=0, description="A silent association is aborted after this long (s)."
    )
    connect_timeout: Seconds = Field(
        10,
        gt=0,
        description="A connection that has not asked for an association is closed after this "
        "long (s).",
    )
    same_uid_other_content: Literal["warning", "success", "refuse"] = Field(
        "warning",
        description="Answer when a known SOP Instance UID comes with other content, kept aside: "
        "warning 0xB007, success 0x0000, or refuse 0x0111.",
    )


class Assemble(Section):
    """When a series and a study count as complete."""

    settle: Seconds = Field(
        1.0,
        description="A study whose tags prove it complete is ready after this long without an "
        "instance (s).",
    )
    quiet_period: Seconds = Field(
        60,
        description="A series that proves nothing is complete after this long without an "
        "instance (s).",
    )
    stall_period: Seconds = Field(
        120, description="A series that announced more than came is waited for this long (s)."
    )
    study_period: Seconds = Field(
        3600,
        description="A study that keeps trickling for this long is taken at its next short "
        "pause (s).",
    )
    poll: Seconds = Field(0.25, description="Interval between two looks at the index (s).")


class Standardise(Section):
    """What is re-indexed, and how sure the header must be."""

    min_margin_deg: float = Field(
        15,
        ge=0,
        le=45,
        description="The in-plane angle must be this far from the next orientation (degrees).",
    )
    min_conditioning: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Below this second singular value the header's view is not believed (1).",
    )
    long_axis: Literal["leave", "act"] = Field(
        "leave", description="Whether 2CH, 3CH and 4CH stacks are re-indexed or left as they are."
    )
    when_network_unsure: Literal["ask", "header"] = Field(
        "ask",
        description="A stack of which the network is not sure and whose header clearly says that "
        "it is turned: ask a person, or act by the header alone.",
    )
    station_name: str = Field(
        "CMRNODE",
        min_length=1,
        max_length=16,
        description="StationName in derived objects; the same on all hosts of a node, because it "
        "enters their UIDs.",
    )
    device_serial: str = Field(
        "1",
        min_length=1,
        max_length=64,
        description="DeviceSerialNumber in derived objects; the same on all hosts of a node.",
    )


class Inference(Section):
    """The network that looks at short-axis stacks."""

    network: str = Field(
        "",
        description='Weights: empty for the shipped network, "none" for the header alone, the '
        "name of a shipped network, or a folder (a path with a / in it).",
    )
    device: Literal["cpu", "cuda"] = Field(
        "cpu", description="What it runs on; cuda that is not there stops the start."
    )
    threads: int = Field(
        0,
        ge=0,
        le=256,
        description="Cores for each process that runs it; 0 shares those of the host among them.",
    )
    batch: int = Field(
        16, ge=1, le=512, description="Pictures at once; halved for good where memory is short."
    )


class Results(Section):
    """What is made of a judged stack beside derived images."""

    segmentation: bool = Field(
        True,
        description="Whether the outlines of a short-axis cine are written as Segmentation; needs "
        "a network.",
    )
    measurements: bool = Field(
        True,
        description="Whether its volumes, function and mass are written as structured report; "
        "needs a network.",
    )
    review: bool = Field(
        True,
        description="Whether a stack about which a person is asked gets key objects that say why, "
        "and a report of what was found, without numbers.",
    )
    phases: Literal["ed_es", "all"] = Field(
        "ed_es",
        description="Which phases get a Segmentation: end-diastole and end-systole, or all.",
    )
    not_for_diagnosis: bool = Field(
        True,
        description="Whether the page of pictures says across its foot that it is not for "
        "diagnosis and that no physician has verified it.",
    )
    right_ventricle: bool = Field(
        False,
        description="Whether volumes and function of the right ventricle are given; the shipped "
        "network learnt its outlines from simulation alone, and they were not proved.",
    )
    basal_rule: Literal["half", "as_drawn"] = Field(
        "half",
        description="Which basal slices count in volumes: those whose cavity borders on muscle "
        "along half its circumference (SCMR 2013), or all with an outline, the outflow tract too.",
    )


class Work(Section):
    """The workers."""

    slots: int = Field(1, ge=1, le=64, description="Jobs at once on this host, one process each.")
    job_timeout: Seconds = Field(600, description="A job is killed after this long (s).")
    heartbeat: Seconds = Field(
        5, gt=0, description="Interval between two signs of life of a worker (s)."
    )
    takeover_after: Seconds = Field(
        30,
        gt=0,
        description="A worker silent for this long is dead and its jobs are taken over (s).",
    )
    crash_limit: int = Field(
        2, ge=1, description="A job that killed its worker this often is isolated, not run again."
    )


class Deliver(Section):
    """The door out: how results reach the peers."""

    associations: int = Field(
        2, ge=1, le=16, description="Associations at once to one destination."
    )
    retry_first: Seconds = Field(
        30, gt=0, description="Wait before the second attempt; doubled after each (s)."
    )
    retry_cap: Seconds = Field(600, gt=0, description="Longest wait between two attempts (s).")
    retry_jitter: float = Field(
        0.2, ge=0, lt=1, description="Random share added to or taken from a wait (1)."
    )
    give_up_after: Seconds = Field(
        72 * 3600,
        description="After this long without success a delivery becomes a dead letter (s).",
    )
    permanent_attempts: int = Field(
        3, ge=1, description="An instance that is refused for good is sent this often at most."
    )
    connect_timeout: Seconds = Field(
        10, gt=0, description="Wait for a connection or an association (s)."
    )
    response_timeout: Seconds = Field(
        60, gt=0, description="Wait for the answer to one C-STORE (s)."
    )


class Observe(Section):
    """Metrics, health and logs."""

    host: str = Field("127.0.0.1", description="Address of /metrics, /livez and /readyz.")
    port: Port = Field(
        9640,
        description="receive answers here, assemble, deliver and work on the next ports; 0 means "
        "none.",
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="One line of text or JSON per event."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Events below this level are not written."
    )


class Settings(Section):
    """Everything one node is told; frozen."""

    storage: Storage = Field(default_factory=Storage)
    receive: Receive = Field(default_factory=Receive)
    assemble: Assemble = Field(default_factory=Assemble)
    standardise: Standardise = Field(default_factory=Standardise)
    inference: Inference = Field(default_factory=Inference)
    results: Results = Field(default_factory=Results)
    work: Work = Field(default_factory=Work)
    deliver: Deliver = Field(default_factory=Deliver)
    observe: Observe = Field(default_factory=Observe)
    peer: tuple[Peer, ...] = Field(
        LOOPBACK, description="The remote AEs; only loopback may send until one is listed."
    )

    @field_validator("peer")
    @classmethod
    def _names_differ(cls, peers: tuple[Peer, ...]) -> tuple[Peer, ...]:
        names = [peer.name for peer in peers]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two peers are named {name!r}; names must differ")
        return peers

    @property
    def destinations(self) -> tuple[Peer, ...]:
        """The peers that receive anything."""
        return tuple(peer for peer in self.peer if peer.receives)


def load(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the TOML file, put the environment on top, and check everything.

    Raises
    ------
    ConfigurationError
        The file cannot be read, or a name is unknown, or a value is not allowed.
    """
    tables: dict[str, Any] = {}
    if path is not None:
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigurationError(f"settings file {path}: {error}") from error
    _overlay(tables, environment)
    try:
        return Settings.model_validate(tables)
    except ValidationError as error:
        raise ConfigurationError(_explain(error, path)) from error


def sections() -> dict[str, type[Section]]:
    """The tables of the TOML file by name, ``[[peer]]`` apart."""
    found = {}
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            found[name] = field.annotation
    return found


def environment_names() -> dict[str, tuple[str, str]]:
    """Every ``CMR_NODE_*`` name with the (section, setting) it sets."""
    return {
        f"{ENVIRONMENT_PREFIX}{section}_{name}".upper(): (section, name)
        for section, model in sections().items()
        for name in model.model_fields
    }


def _overlay(tables: dict[str, Any], environment: Mapping[str, str]) -> None:
    known = environment_names()
    for key, value in environment.items():
        if not key.startswith(ENVIRONMENT_PREFIX):
            continue
        if key not in known:
            raise ConfigurationError(
                f"environment variable {key} is no setting; known are {', '.join(sorted(known))}"
            )
        section, name = known[key]
        table = tables.setdefault(section, {})
        if not isinstance(table, dict):
            raise ConfigurationError(f"[{section}] must be a table, found {table!r}")
        table[name] = value


def _explain(error: ValidationError, path: Path | None) -> str:
    lines = [f"settings {path or 'from the environment'}:"]
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"]) or "settings"
        if fault["type"] == "extra_forbidden":
            allowed = _names_at(fault["loc"][:-1])
            lines.append(f"  {key} is no setting; known are {', '.join(allowed)}")
        else:
            lines.append(f"  {key} = {fault['input']!r}: {fault['msg']}")
    return "\n".join(lines)


def _names_at(location: tuple[int | str, ...]) -> list[str]:
    model: type[Section] = Settings
    if location and location[0] == "peer":
        model = Peer
    elif location:
        model = sections()[str(location[0])]
    return sorted(model.model_fields)
