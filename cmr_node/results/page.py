"""The page of pictures of one stack: what to show, and in which order.

The promise kept here: the page shows the images that go out with the outlines that were measured,
from base to apex, and lists every number that is given and every one that is withheld.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset

from cmr_node.assemble.records import Stack
from cmr_node.dicom.words import display_values
from cmr_node.measures.measure import Measurements
from cmr_node.outputs.algorithm import Algorithm
from cmr_node.outputs.sources import SourceFrame
from cmr_node.outputs.uids import Producer
from cmr_node.pictures.outlines import OutlinedSlice
from cmr_node.pictures.picture import Picture
from cmr_node.pictures.result_page import Findings, Page, draw_page
from cmr_node.pictures.volume_curve import Curve
from cmr_node.results.outlining import Outlines
from cmr_node.results.shown import Shown

_DIGITS_OF_WEIGHTS = 12


def result_page(
    shown: Shown,
    outlines: Outlines,
    labels: NDArray[np.uint8],
    algorithm: Algorithm,
    producer: Producer,
    *,
    warn: bool,
) -> tuple[Page, list[SourceFrame]]:
    """The page, and the images on it.

    Parameters
    ----------
    labels
        uint8 (slices, phases, rows, columns), on the images that are shown.
    warn
        Whether the page says that it is not for diagnosis.

    Raises
    ------
    ValueError
        End-diastole and end-systole are not both known, or nobody says when the phases are.
    UnusableGeometry, UndecodablePixels
        An image cannot be shown.
    """
    measured, stack = outlines.measured, shown.stack
    ed, es = measured.ed_phase, measured.es_phase
    if ed is None or es is None:
        raise ValueError("end-diastole and end-systole are not both known")
    times = phase_times_ms(stack)
    sources = {phase: shown.sources(phase) for phase in (ed, es)}
    slices = {}
    for phase, found in sources.items():
        ordered = [
            OutlinedSlice(
                Picture.on(
                    source.plane().plane, display_values(cast(FileDataset, source.ds), source.frame)
                ),
                labels[place, phase],
            )
            for place, source in zip(shown.places(phase), found, strict=True)
        ]
        slices[phase] = ordered if outlines.base_first else ordered[::-1]
    weights = algorithm.weights_digest[:_DIGITS_OF_WEIGHTS]
    findings = Findings(
        heading=f"Short-axis cine, {len(stack.slices)} slices, {stack.phases} phases",
        diastole=slices[ed],
        systole=slices[es],
        curve=Curve(times, np.array(measured.lv_curve_ml), np.array(measured.rv_curve_ml), ed, es),
        lines=_lines(measured),
        footer=f"{producer.model} {producer.software_version}, "
        f"{algorithm.name} {algorithm.version}, weights {weights}",
        warn=warn,
    )
    return draw_page(findings), [*sources[ed], *sources[es]]


def phase_times_ms(stack: Stack) -> NDArray[np.float64]:
    """When the phases are, from the R wave, by the first slice that has them all.

    Raises
    ------
    ValueError
        Neither trigger times nor the length of a beat say it.
    """
    whole = next(one for one in stack.slices if len(one.cells) == stack.phases)
    said = [cell.header.number("TriggerTime") for cell in whole.cells]
    times = np.array([np.nan if time is None else time for time in said], float)
    if np.isfinite(times).all() and (np.diff(times) > 0).all():
        return times
    beat = whole.cells[0].header.number("NominalInterval")
    if beat and beat > 0:
        return np.linspace(0.0, beat, stack.phases, endpoint=False)
    raise ValueError("neither TriggerTime nor NominalInterval says when the phases are")


def _lines(measured: Measurements) -> list[str]:
    lines = [f"{name.words}: {value:.1f} {name.unit}" for name, value in measured.values.items()]
    reasons: dict[str, list[str]] = {}
    for one in measured.withheld:
        reasons.setdefault(one.reason, []).append(one.name.words)
    told = [flag.text for flag in measured.flags]
    for reason, names in reasons.items():
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        told += [f"withheld {names[0]}{others}, because", f"   {reason}"]
    # A colon would set a sentence in two columns.
    return lines + [text.replace(": ", " - ") for text in told]
