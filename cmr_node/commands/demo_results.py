"""What came back in the demonstration beside images: outlines, numbers, the page of pictures.

The promise kept here: what is shown was read from the files of the PACS and from the record of
the node; the truth beside it was integrated in the simulated patient, no image was measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from matplotlib.image import imsave
from pydicom.dataset import FileDataset
from pydicom.uid import SecondaryCaptureImageStorage
from rich.console import Console
from rich.table import Table

from cmr_node.assemble.stack import MR_IMAGES
from cmr_node.dicom.sop_classes import class_name
from cmr_node.measures.quantities import Quantity
from cmr_node.phantom.body.anatomy import Patient
from cmr_node.phantom.body.measures import quantities, volumes
from cmr_node.phantom.body.motion import END_SYSTOLE
from cmr_node.phantom.plan import Plan
from cmr_node.store.overview import StudyOverview


def show_results(
    console: Console,
    held: Iterable[FileDataset],
    study: StudyOverview,
    plan: Plan,
    picture: Path,
) -> bool:
    """Print what came and the numbers beside the truth; whether the page was saved as ``picture``.

    Parameters
    ----------
    held
        All that the PACS holds.
    plan
        What was simulated.
    """
    others = [ds for ds in held if ds.SOPClassUID not in MR_IMAGES]
    for name, count in sorted(Counter(class_name(ds.SOPClassUID) for ds in others).items()):
        console.print(f"and {count} {name}")
    for stack in study.stacks:
        results = stack["evidence"].get("results", {})
        if results.get("numbers"):
            console.print(_beside_the_truth(results["numbers"], plan))
        for name, reason in results.get("not_made", {}).items():
            console.print(f"no {name}: {reason}")
    pages = [ds for ds in others if ds.SOPClassUID == SecondaryCaptureImageStorage]
    if pages:
        imsave(picture, pages[0].pixel_array)
    return bool(pages)


def _beside_the_truth(numbers: dict[str, float], plan: Plan) -> Table:
    patient = Patient.draw(plan.seed, plan.group)
    truth = quantities(volumes(patient, 0.0), volumes(patient, END_SYSTOLE))
    table = Table(title="Measured by the network, and integrated in the simulated patient")
    for column in ("", "measured", "true"):
        table.add_column(column, justify="right" if column else "left")
    for name, value in numbers.items():
        quantity = Quantity(name)
        if quantity in truth:
            unit = quantity.unit
            table.add_row(quantity.words, f"{value:.1f} {unit}", f"{truth[quantity]:.1f} {unit}")
    return table
