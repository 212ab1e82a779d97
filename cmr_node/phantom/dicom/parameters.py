"""Echo, repetition and inversion times of each protocol, as a header states them.

The promise kept here: a number that the simulation used is the number it used.  What it has no
use for (how a gradient echo read out in a hundred milliseconds was spaced) is a usual value and
marked so.
"""

from __future__ import annotations

from dataclasses import dataclass

from cmr_node.phantom.body.anatomy import Patient
from cmr_node.phantom.scanner import render
from cmr_node.phantom.scanner.render import Protocol


@dataclass(frozen=True, slots=True)
class Parameters:
    """Of one scan; times in ms, lengths in mm."""

    scanning: tuple[str, ...]  #: ScanningSequence: GR or SE, with IR
    variant: tuple[str, ...]  #: SequenceVariant
    options: tuple[str, ...]  #: ScanOptions; every scan is triggered by the ECG
    repetition_ms: float
    echo_ms: float
    flip_deg: float
    thickness: float
    tesla: float
    echo_train: int = 1
    inversion_ms: float | None = None
    trigger_ms: float | None = None  #: of a still image; None for a cine


def parameters(patient: Patient, protocol: Protocol) -> Parameters:
    """What the header of a scan of this patient says."""
    beat_ms = 60_000 / patient.heart_rate_bpm
    quiet = render.QUIET * beat_ms
    thick, tesla = protocol.thickness, protocol.tesla
    match protocol:
        case render.Cine():
            repetition = protocol.repetition_ms
            return Parameters(
                ("GR",),
                ("SS",),
                ("CG",),
                repetition,
                repetition / 2,
                protocol.flip_deg,
                thick,
                tesla,
            )
        case render.LateEnhancement():
            inversion, repetition = render.inversion(patient, protocol)
            return Parameters(
                ("GR", "IR"),
                ("SP", "MP"),
                ("CG",),
                repetition,
                echo_ms=1.9,  # usual
                flip_deg=25,  # usual
                thickness=thick,
                tesla=tesla,
                inversion_ms=inversion,
                trigger_ms=quiet,
            )
        case render.T2Weighted():
            return Parameters(
                ("SE",),
                ("SK",),
                ("CG", "FS") if protocol.suppressed_fat else ("CG",),
                2 * beat_ms,
                protocol.echo_ms,
                flip_deg=180,
                thickness=thick,
                tesla=tesla,
                echo_train=21,  # usual
                trigger_ms=quiet,
            )
        case render.T1Map():
            # The map is one image of eight inversion times, so it has none of its own.
            train = protocol.train
            return Parameters(
                ("GR",),
                ("SS",),
                ("CG",),
                train.pulse_ms,
                train.pulse_ms / 2,
                train.flip_deg,
                thick,
                tesla,
                trigger_ms=quiet,
            )
