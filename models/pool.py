"""A pool of simulated slices with everything that is known of each, made once and kept on disk.

The promise kept here: seed and size decide every byte, whatever the number of processes; each
look-up is of a patient of its own, so that two pools of different seeds share no patient.

    python -m models.pool OUT.npz [--slices N] [--renderings K] [--seed S]
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass, fields
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.progress import track

from cmr_node.geometry.plane import Plane
from cmr_node.geometry.standard_view import View, implied_orientation
from cmr_node.inference.picture_kind import PictureKind
from cmr_node.inference.preprocess import SIZE
from cmr_node.phantom.body.anatomy import Patient
from cmr_node.phantom.body.tissues import LV_CAVITY, LV_MUSCLE, Labels, Tissue
from cmr_node.phantom.scanner.contrast import Kind, draw_contrast
from cmr_node.phantom.scanner.planes import localizers, view_planes
from cmr_node.phantom.scanner.sample import Sampling
from cmr_node.phantom.scanner.source import Sketch, render, sketch
from models.negatives import draw_negative
from models.poses import standard_right

KINDS = tuple(PictureKind)
SEQUENCES = tuple(Kind)
SHARES = {
    View.SAX: 0.66,
    View.TWO_CHAMBER: 0.06,
    View.THREE_CHAMBER: 0.05,
    View.FOUR_CHAMBER: 0.07,
    View.OTHER: 0.11,
    None: 0.05,  # not a patient
}
LEAST_MM2 = 40.0  #: of left ventricle, for a slice to show one


@dataclass(frozen=True, slots=True)
class Pool:
    """n slices; a picture without a pose has NaN in its place.

    images
        (n, SIZE, SIZE) float16, mean 0 and sd 1.
    masks
        (n, SIZE, SIZE) uint8: 0 none, 1 LV blood pool, 2 LV myocardium, 3 RV blood pool.
    kind, sequence
        (n,) uint8, places in ``KINDS`` and ``SEQUENCES``.
    right, septal
        (n, 2) float32 (row, column), unit: the standard right, and from LV to RV.
    spacing
        (n,) float32, mm.
    """

    images: npt.NDArray[np.float16]
    masks: npt.NDArray[np.uint8]
    kind: npt.NDArray[np.uint8]
    sequence: npt.NDArray[np.uint8]
    right: npt.NDArray[np.float32]
    septal: npt.NDArray[np.float32]
    spacing: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.images)

    def save(self, path: Path) -> None:
        """Write all of it, uncompressed."""
        with path.open("wb") as file:
            np.savez(file, **{one.name: getattr(self, one.name) for one in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Pool:
        """Read what :meth:`save` wrote."""
        with np.load(path) as held:
            return cls(**{one.name: held[one.name] for one in fields(cls)})

    @classmethod
    def joined(cls, parts: list[Pool]) -> Pool:
        """One pool of several."""
        return cls(
            **{
                one.name: np.concatenate([getattr(part, one.name) for part in parts])
                for one in fields(cls)
            }
        )


def make_pool(seed: int, slices: int, renderings: int, processes: int | None = None) -> Pool:
    """``slices`` look-ups, each rendered ``renderings`` times with another contrast."""
    tasks = [(seed, number, renderings) for number in range(slices)]
    with get_context("spawn").Pool(processes or os.cpu_count()) as workers:
        made = workers.imap(_one, tasks, chunksize=8)
        return Pool.joined(list(track(made, "simulating slices", total=slices)))


def masks_of(labels: Labels) -> npt.NDArray[np.uint8]:
    """The three structures of a map of tissues, papillary muscles in the blood pool."""
    table = np.zeros(len(Tissue), np.uint8)
    table[list(LV_CAVITY)] = 1
    table[list(LV_MUSCLE)] = 2
    table[Tissue.RV_BLOOD] = 3
    return table[labels]


def _one(task: tuple[int, int, int]) -> Pool:
    seed, number, renderings = task
    rng = np.random.default_rng([seed, number])
    views = list(SHARES)
    view = views[int(rng.choice(len(views), p=list(SHARES.values())))]
    spacing = float(rng.uniform(1.2, 2.6))
    if view is None:
        return _nothing(rng, renderings, spacing)
    patient = Patient.draw(int(rng.integers(1 << 31)), spread=1.6)
    planes = tuple(_planes(patient, view, spacing, rng))
    plane = planes[int(rng.integers(len(planes)))]
    drawn = sketch(patient, plane, view, Sampling(8.0, 2, 2), rng)
    masks = masks_of(drawn.labels)
    contrasts = [draw_contrast(rng) for _ in range(renderings)]
    images = [render(drawn, contrast, rng) for contrast in contrasts]
    kind = _kind(drawn, masks, spacing)
    evidence = implied_orientation(plane, view)
    posed = evidence is not None and view is View.SAX
    right = standard_right(evidence) if evidence is not None and posed else np.full(2, np.nan)
    return Pool(
        images=np.stack(images).astype(np.float16),
        masks=np.repeat(masks[None], renderings, 0),
        kind=np.full(renderings, KINDS.index(kind), np.uint8),
        sequence=np.array([SEQUENCES.index(one.kind) for one in contrasts], np.uint8),
        right=np.repeat(right[None].astype(np.float32), renderings, 0),
        septal=np.repeat(_septal(masks)[None] if posed else np.full((1, 2), np.nan, "f4"),
                         renderings, 0),
        spacing=np.full(renderings, spacing, np.float32),
    )  # fmt: skip


def _planes(
    patient: Patient, view: View, spacing: float, rng: np.random.Generator
) -> Iterator[Plane]:
    shape = (SIZE, SIZE)
    if view is View.OTHER:
        yield from localizers(
            patient.heart, shape=shape, pixel_spacing=spacing * 1.3, slices=9, gap=18.0
        )
        return
    turn = float(rng.uniform(0, 360) if rng.random() < 0.5 else rng.normal(0, 15))
    yield from view_planes(
        patient.heart,
        view,
        shape=shape,
        pixel_spacing=spacing,
        slices=13,
        gap=9.5,
        rng=rng,
        turn_deg=turn % 360,
    )


def _kind(drawn: Sketch, masks: npt.NDArray[np.uint8], spacing: float) -> PictureKind:
    if drawn.view.is_long_axis:
        return PictureKind.LONG_AXIS
    if drawn.view is not View.SAX:
        return PictureKind.OTHER
    if np.isin(masks, (1, 2)).sum() * spacing**2 >= LEAST_MM2:
        return PictureKind.SHORT_AXIS
    return PictureKind.ABOVE_BASE if drawn.level < 0.5 else PictureKind.BELOW_APEX


def _septal(masks: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    left, right = (np.argwhere(np.isin(masks, which)) for which in ((1, 2), (3,)))
    if min(len(left), len(right)) < 30:
        return np.full(2, np.nan, np.float32)
    away = right.mean(0) - left.mean(0)
    return np.asarray(away / np.linalg.norm(away), np.float32)


def _nothing(rng: np.random.Generator, renderings: int, spacing: float) -> Pool:
    images = np.stack([draw_negative(rng, SIZE) for _ in range(renderings)])
    images -= images.mean((1, 2), keepdims=True)
    images /= images.std((1, 2), keepdims=True) + 1e-6
    return Pool(
        images=images.astype(np.float16),
        masks=np.zeros(images.shape, np.uint8),
        kind=np.full(renderings, KINDS.index(PictureKind.OTHER), np.uint8),
        sequence=np.zeros(renderings, np.uint8),
        right=np.full((renderings, 2), np.nan, np.float32),
        septal=np.full((renderings, 2), np.nan, np.float32),
        spacing=np.full(renderings, spacing, np.float32),
    )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--slices", type=int, default=7000)
    parser.add_argument("--renderings", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    make_pool(arguments.seed, arguments.slices, arguments.renderings).save(arguments.out)


if __name__ == "__main__":
    main()
