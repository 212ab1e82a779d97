"""The chest around the heart: what tells left from right and up from down in a cardiac image.

An implicit function of patient coordinates, so that any plane can be cut.  Nothing here moves;
the heart is laid over it.  The layout follows axial anatomy: body outline with subcutaneous
fat, muscle and ribs, sternum in front, spine behind with the descending aorta at its left,
lungs, and below the diaphragm the liver right and in the middle, stomach and spleen left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from cmr_node.phantom.tissues import Labels, Tissue

Points = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def sinusoids(points: Points, waves: npt.NDArray[np.float32], shifts: Points) -> Points:
    """Mean of sines: a smooth random field in [-1, 1].

    ``points`` (3, n) in mm, ``waves`` (k, 3) in rad/mm, ``shifts`` (k,) in rad; returns (n,).
    """
    phases = waves @ points
    phases += shifts[:, None]
    return np.asarray(np.sin(phases, out=phases).mean(axis=0))


def draw_waves(
    rng: np.random.Generator, count: int, shortest_mm: float, longest_mm: float
) -> tuple[npt.NDArray[np.float32], Points]:
    """Random wave vectors (count, 3) in rad/mm and phase shifts (count,) in rad."""
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = rng.uniform(shortest_mm, longest_mm, size=(count, 1))
    waves = 2 * np.pi * directions / lengths
    return waves.astype(np.float32), rng.uniform(0, 2 * np.pi, count).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Thorax:
    """One chest; lengths in mm, patient coordinates (LPS) with the origin mid-chest."""

    half_width: float
    half_depth: float
    fat: float  #: thickness of the subcutaneous fat
    liver_dome: float  #: z of the top of the right diaphragm
    left_dome: float  #: z of the top of the left diaphragm
    aorta_radius: float
    gas: float  #: y behind which the stomach holds no gas
    warp: tuple[tuple[npt.NDArray[np.float32], Points], ...]  #: one field per axis
    vessels: tuple[
        tuple[npt.NDArray[np.float32], Points], ...
    ]  #: two fields; tubes where both are 0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """A chest of an adult, drawn from ``rng``."""
        return cls(
            half_width=rng.uniform(148, 166),
            half_depth=rng.uniform(97, 107),
            fat=rng.uniform(8, 17),
            liver_dome=rng.uniform(-14, 4),
            left_dome=rng.uniform(-30, -18),
            aorta_radius=rng.uniform(10, 13),
            gas=rng.uniform(-52, -24),
            warp=tuple(draw_waves(rng, 4, 110, 300) for _ in range(3)),
            vessels=tuple(draw_waves(rng, 5, 32, 85) for _ in range(2)),
        )

    def labels(self, points: Points) -> Labels:
        """The tissue at ``points`` (3, n), mm LPS; returns (n,)."""
        x, y, z = (
            points[axis] + np.float32(3.5) * sinusoids(points, *self.warp[axis])
            for axis in range(3)
        )
        label = np.full(x.shape, Tissue.AIR, np.uint8)
        reach = np.hypot(x, y) + np.float32(1e-3)
        skin = np.sqrt(
            np.sqrt((x / self.half_width) ** 4 + (y / self.half_depth) ** 4) * 0.45
            + ((x / self.half_width) ** 2 + (y / self.half_depth) ** 2) * 0.55
        )
        depth = (1 / np.maximum(skin, np.float32(1e-3)) - 1) * reach  # radial distance to the skin
        # More fat at the flanks and the breast, little over the sternum and the spine.
        fat = self.fat * (
            0.55 + 0.45 * (x / self.half_width) ** 2 + 0.25 * (y < -20) * (np.abs(x) > 45)
        )
        label[depth > 0] = Tissue.FAT
        lumps, other = (sinusoids(points, *field) for field in self.vessels)
        tubes = lumps**2 + other**2
        self._wall(label, x, y, z, depth - fat, lumps)
        inner = np.hypot(x / (self.half_width - 34), (y + 2) / (self.half_depth - 27))
        inside = (inner < 1) & (depth > fat + 12)
        below = z < self._diaphragm(x, y)
        self._lungs(label, x, y, z, inside & ~below, lumps, tubes)
        self._abdomen(label, x, y, z, inside & below, lumps, tubes)
        self._spine(label, x, y, z)
        return label

    def _wall(
        self, label: Labels, x: Points, y: Points, z: Points, depth: Points, lumps: Points
    ) -> None:
        """Muscle under the fat, ribs in it, the sternum in front."""
        label[depth > 0] = Tissue.MUSCLE
        label[(depth > 5.5) & (depth < 7.5) & (lumps > 0.05)] = Tissue.FAT
        # Ribs slope down towards the front; 31 mm from one to the next.
        rib = np.sin((z + 0.35 * y + 0.15 * np.abs(x)) * (2 * np.pi / 31))
        band = (depth > 8) & (depth < 17)
        label[band & (rib > 0.25)] = Tissue.CORTICAL_BONE
        label[band & (rib > 0.5) & (depth > 9.5) & (depth < 15.5)] = Tissue.MARROW
        label[(depth > 17) & (depth < 20) & (lumps < 0.1)] = Tissue.FAT
        front = (y < 0) & (np.abs(x) < 17) & (z > -75)
        label[front & (depth > 1) & (depth < 13)] = Tissue.CORTICAL_BONE
        label[front & (depth > 2.5) & (depth < 11.5) & (np.abs(x) < 15)] = Tissue.MARROW

    def _diaphragm(self, x: Points, y: Points) -> Points:
        """Its height z: two domes and the saddle between them on which the heart lies."""

        def dome(x0: float, y0: float, top: float, rx: float, ry: float) -> Points:
            cap = 1 - ((x - x0) / rx) ** 2 - ((y - y0) / ry) ** 2
            return np.asarray(top + 75 * (np.sqrt(np.maximum(cap, 0)) - 1))

        right = dome(-66, 4, self.liver_dome, 88, 96)
        left = dome(70, 14, self.left_dome, 84, 92)
        saddle = dome(24, -28, self.left_dome - 6, 105, 95)
        return np.maximum(np.maximum(right, left), saddle)

    def _lungs(
        self,
        label: Labels,
        x: Points,
        y: Points,
        z: Points,
        inside: Mask,
        lumps: Points,
        tubes: Points,
    ) -> None:
        label[inside] = Tissue.LUNG
        # Vessels are thick near the hilum, where they leave the mediastinum.
        hilum = np.exp(-np.hypot(np.abs(x) - 35, y - 25) / 55)
        label[inside & (tubes < 0.003 + 0.024 * hilum)] = Tissue.BLOOD
        width = np.clip(9 + 0.30 * (y + 35), 7, 26) + 0.10 * np.maximum(z, 0) + 9 * lumps
        middle = inside & (np.abs(x - 4) < width)
        label[middle] = Tissue.FAT
        label[middle & (np.abs(lumps) < 0.09)] = Tissue.MUSCLE  # nodes, pericardium, oesophagus
        label[middle & (tubes < 0.03)] = Tissue.BLOOD
        label[middle & (np.hypot(x - 2, y - 22) < 8.5) & (z > 45)] = Tissue.AIR  # trachea
        label[middle & (np.hypot(x - 6, (y - 40) * 1.3) < 8)] = Tissue.MUSCLE  # oesophagus
        label[inside & (np.hypot(x + 26, y + 2) < 10.5) & (z > 20)] = Tissue.BLOOD  # superior cava

    def _abdomen(
        self,
        label: Labels,
        x: Points,
        y: Points,
        z: Points,
        inside: Mask,
        lumps: Points,
        tubes: Points,
    ) -> None:
        label[inside] = Tissue.FAT
        label[inside & (np.abs(lumps) < 0.13)] = Tissue.MUSCLE  # walls of the bowel
        label[inside & (lumps > 0.30)] = Tissue.STOMACH
        spleen = ((x - 92) / 30) ** 2 + ((y - 42) / 40) ** 2 + ((z + 78) / 52) ** 2 < 1
        label[inside & spleen] = Tissue.SPLEEN
        stomach = ((x - 64) / 42) ** 2 + ((y - 2) / 52) ** 2 + ((z + 84) / 46) ** 2 + 0.5 * lumps
        label[inside & (stomach < 1.0)] = Tissue.MUSCLE
        content = inside & (stomach < 0.84)
        label[content] = Tissue.STOMACH
        label[content & (y < self.gas)] = Tissue.AIR  # gas rises to the front of a supine patient
        liver = inside & (x < 62 - 0.95 * (y + 45) + 22 * lumps) & (z > -230)
        label[liver] = Tissue.LIVER
        label[liver & (tubes < 0.011)] = Tissue.BLOOD
        label[inside & (np.hypot(x + 26, y - 18) < 12)] = Tissue.BLOOD  # inferior cava
        label[inside & (self._diaphragm(x, y) - z < 2.5)] = Tissue.MUSCLE

    def _spine(self, label: Labels, x: Points, y: Points, z: Points) -> None:
        back = self.half_depth - 42  # y of the centre of the vertebral bodies
        beside = (np.abs(x) < 46) & (y > back + 12) & (label != Tissue.AIR)
        deep = ((x / 50) ** 2 + ((y - back - 16) / 24) ** 2 < 1) & beside
        label[deep] = Tissue.MUSCLE
        body = np.hypot(x / 19, (y - back) / 16)
        label[body < 1.0] = Tissue.CORTICAL_BONE
        disc = np.abs(np.mod(z, 27) - 13.5) > 10.5
        label[(body < 0.9) & ~disc] = Tissue.MARROW
        label[(body < 0.9) & disc] = Tissue.VESSEL_WALL
        canal = np.hypot(x / 10, (y - back - 23) / 8)
        label[canal < 1.35] = Tissue.CORTICAL_BONE
        label[canal < 1] = Tissue.FLUID
        label[canal < 0.6] = Tissue.MARROW  # the cord
        process = (np.abs(x) < 4) & (y > back + 32) & (y < back + 50) & (np.mod(z, 27) < 17)
        label[process & (label != Tissue.AIR)] = Tissue.MARROW
        aorta = np.hypot(x - 23, y - back + 13)
        label[aorta < self.aorta_radius + 1.5] = Tissue.VESSEL_WALL
        label[aorta < self.aorta_radius] = Tissue.BLOOD
