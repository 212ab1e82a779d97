"""Folders of DICOM files become pictures: slices and phases in order, kinds and patients named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from models.other_views import PIG, other_views
from models.pool import KINDS
from models.stacks import read_stacks
from tests.samples import mr, part10_bytes

SLICES, PHASES = 14, 8


def written(folder: Path, slices: int, phases: int, side: int) -> None:
    """A stack whose first pixel tells slice and phase, its files in no order."""
    folder.mkdir(parents=True)
    for place in range(slices):
        for phase in range(phases):
            pixels = np.zeros((side, side), np.uint16)
            pixels[0, 0], pixels[-1, -1] = 10 * place + phase, 1000
            image = mr(
                rows=side,
                columns=side,
                slice_number=place,
                phase=phase,
                series=folder.name,
                study=folder.parent.name,
                PixelSpacing=["1.5", "1.5"],
                PixelData=pixels.tobytes(),
            )
            name = f"{(7 * (place * phases + phase)) % 113:03d}.dcm"
            (folder / name).write_bytes(part10_bytes(image))


def test_slices_and_phases_come_in_order(tmp_path: Path) -> None:
    written(tmp_path / "sax", 3, 2, 32)
    (stack,) = read_stacks(tmp_path / "sax")
    assert [[int(image[0, 0]) for image in phases] for phases in stack.images] == [
        [0, 1],
        [10, 11],
        [20, 21],
    ]
    assert [int(image[0, 0]) for image in stack.first_phase] == [0, 10, 20]
    assert stack.spacing == (1.5, 1.5)


def test_other_views_are_taken_from_folders_named_after_patients(tmp_path: Path) -> None:
    written(tmp_path / "sunnybrook-cine" / "P-1" / "localizer", 3, 1, 256)
    written(tmp_path / "pig-cine" / "lax", SLICES, PHASES, 256)
    found = other_views(tmp_path)
    assert [(name, KINDS[kind]) for name, kind in zip(found.patient, found.kind, strict=True)] == [
        *[("P-1", "other")] * 3,
        *[(PIG, "long_axis")] * 40,
    ]
    shown = found.images[found.patient == PIG][:, 0, 0] / 255 * 1000
    expected = [10 * place + phase for place in range(2, 12) for phase in range(0, PHASES, 2)]
    np.testing.assert_allclose(shown, expected, atol=4)


def test_a_picture_of_another_size_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "sunnybrook-cine" / "P-1" / "localizer", 3, 1, 128)
    with pytest.raises(ValueError, match="256 a side"):
        other_views(tmp_path)
