"""The wall of the chest: skin, fat, breast, muscle, ribs, sternum and spine.

The promise kept here: layers are counted by depth below the skin, so they stay in order however
the body is shaped.  Coordinates are the patient's (LPS, mm), the origin mid-chest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from cmr_node.phantom.body.fields import Field, Points
from cmr_node.phantom.body.tissues import Labels, Tissue

RIB_STEP_MM = 30.0
FRONT_MM = -103.0  #: y of the skin over the heart


@dataclass(frozen=True, slots=True)
class ChestWall:
    """Lengths in mm."""

    half_width: float
    half_depth: float
    fat: float  #: thickness of the subcutaneous fat
    breast: float  #: by what it stands out
    muscle: float  #: thickness of the layer over the ribs
    cone: float  #: by what share the chest narrows per mm towards the neck
    slope: float  #: of the ribs towards the front
    strands: Field  #: sheets of connective tissue in fat and muscle
    lumps: Field

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """Of an adult, man or woman."""
        return cls(
            half_width=float(rng.uniform(150, 186)),
            half_depth=float(rng.uniform(99, 124)),
            fat=float(rng.uniform(8, 30)),
            breast=float(rng.uniform(12, 38) if rng.random() < 0.45 else rng.uniform(0, 6)),
            muscle=float(rng.uniform(7, 14)),
            cone=float(rng.uniform(0.0018, 0.0032)),
            slope=float(rng.uniform(0.25, 0.45)),
            strands=Field.draw(rng, 4, 22, 60),
            lumps=Field.draw(rng, 4, 35, 90),
        )

    @property
    def back(self) -> float:
        """y of the centre of the vertebral bodies."""
        return self.rear - 42

    @property
    def middle(self) -> float:
        """y of the middle: a deep chest is deep behind the heart, not in front of it."""
        return self.half_depth + FRONT_MM

    @property
    def rear(self) -> float:
        """y of the skin of the back."""
        return self.middle + self.half_depth

    def depths(self, points: Points) -> tuple[Points, Points]:
        """Depth (n,) of ``points`` (3, n) below the skin and below the fat, mm."""
        x, y, z = points
        # The chest is a cone: towards the neck its front leans back and its sides come closer.
        rise = np.minimum(z, np.float32(150)) + np.float32(15)
        above = 0.5 * (rise + np.sqrt(rise**2 + np.float32(60**2)))
        x = x / (1 - self.cone * np.float32(0.45) * above)
        y = (y - self.middle - np.float32(0.11) * above) / (1 - self.cone * above)
        square = (x / self.half_width) ** 2, (y / self.half_depth) ** 2
        skin = np.sqrt(
            np.sqrt(square[0] ** 2 + square[1] ** 2) * np.float32(0.45)
            + (square[0] + square[1]) * np.float32(0.55)
        )
        reach = np.sqrt(x * x + y * y) * (1 - np.float32(0.8) * self.cone * above)
        depth = (1 / np.maximum(skin, np.float32(1e-3)) - 1) * reach
        side = np.abs(x)
        bump = np.exp(-(((side - 78) / 36) ** 2) - ((z - 2) / 46) ** 2) * (y < 0)
        bump *= np.float32(self.breast) * np.clip(-y / 60, 0, 1)
        # More fat at the flanks, little over the sternum and the spine.
        fat = self.fat * (0.45 + 0.5 * square[0] + 0.25 * np.clip(-z / 90, 0, 1)) + bump * 0.9
        return depth + bump, depth + bump - fat

    def paint(self, label: Labels, points: Points, depth: Points, under: Points) -> None:
        """Lay everything outside the ribs' inner side over ``label`` (n,)."""
        x, y, z = points
        strands, lumps = self.strands.at(points), self.lumps.at(points)
        label[depth > 0] = Tissue.SKIN
        label[depth > 1.5] = Tissue.FAT
        # Sheets of connective tissue, and glands in the breast.
        label[(np.abs(strands) < 0.006) & (depth > 1.5)] = Tissue.MUSCLE
        if self.breast > 20:
            gland = (depth - under > 0.85 * self.breast) & (under < -6) & (depth > 8)
            gland &= (0.5 * lumps + strands > 0.1) & (y < -40)
            label[gland] = Tissue.MUSCLE
        label[under > 0] = Tissue.MUSCLE
        # Two sheets of muscle with fat between, and fat between their bundles.
        cut = under / np.float32(self.muscle) + 0.25 * lumps
        label[(under > 0) & (np.abs(cut - 0.55) < 0.035)] = Tissue.FAT
        bundles = np.abs(strands + 0.22 * np.sin(0.33 * (z + 0.6 * np.abs(x)) + 4 * lumps))
        label[(under > 0) & (cut < 1) & (bundles < 0.022)] = Tissue.FAT
        self._ribs(label, x, y, z, under - np.float32(self.muscle), lumps)
        self._sternum(label, x, y, z, under)

    def _ribs(
        self, label: Labels, x: Points, y: Points, z: Points, inner: Points, lumps: Points
    ) -> None:
        """Ribs of oval section, cartilage in front, vessels and fat under each."""
        side = np.abs(x)
        run = (z + self.slope * y + 0.15 * side + 9 * lumps) / np.float32(RIB_STEP_MM)
        run = (run - np.floor(run) - np.float32(0.5)) * np.float32(RIB_STEP_MM)
        front = (y < -50) & (side < 92)
        thick = np.where(front, np.float32(5.2), np.float32(3.4))
        section = np.hypot(run / np.float32(7.5), (inner - 6) / thick)
        band = (inner > 0) & (inner < 12.5)
        label[band & (inner > 11.5 + 3 * lumps)] = Tissue.FAT
        label[band & (section < 1.0)] = Tissue.CORTICAL_BONE
        label[band & (section < 0.82)] = Tissue.MARROW
        label[band & (section < 0.88) & front] = Tissue.CARTILAGE

    def _sternum(self, label: Labels, x: Points, y: Points, z: Points, under: Points) -> None:
        front = (y < 0) & (np.abs(x) < 18) & (z > -55)
        label[front & (under > 2)] = Tissue.FAT
        label[front & (under > 4) & (under < 15)] = Tissue.CORTICAL_BONE
        label[front & (under > 5.5) & (under < 13.5) & (np.abs(x) < 16)] = Tissue.MARROW
        thoracic = (y < 0) & (np.abs(np.abs(x) - 22) < 2) & (np.abs(under - 15) < 2)
        label[thoracic] = Tissue.BLOOD  # internal thoracic artery and vein

    def paint_spine(self, label: Labels, points: Points) -> None:
        """Vertebrae with discs, canal and cord, and the muscles beside them."""
        spots = np.flatnonzero((np.abs(points[0]) < 52) & (points[1] > self.back - 20))
        painted, part = label[spots], points[:, spots]
        x, y, z = part
        side, back = np.abs(x), self.back
        deep = ((side - 24) / 27) ** 2 + ((y - back - 24) / 17) ** 2 < 1
        deep &= (painted != Tissue.AIR) & (painted != Tissue.SKIN)
        streak = np.abs(self.strands.at(part)) < 0.03
        painted[deep] = Tissue.MUSCLE
        painted[deep & streak] = Tissue.FAT
        body = np.hypot(x / 19, (y - back) / 15.5)
        level = np.mod(z, np.float32(26))
        painted[body < 1.0] = Tissue.CORTICAL_BONE
        disc = np.abs(level - 13) > 10.5
        painted[(body < 0.92) & ~disc] = Tissue.MARROW
        painted[(body < 0.92) & disc] = Tissue.CARTILAGE
        canal = np.hypot(x / 10.5, (y - back - 23) / 8.5)
        painted[canal < 1.5] = Tissue.CORTICAL_BONE
        painted[canal < 1.12] = Tissue.FAT
        painted[canal < 1] = Tissue.FLUID
        painted[np.hypot(x / 6, (y - back - 23) / 4.2) < 1] = Tissue.CORD
        process = (side < 4) & (y > back + 34) & (y < back + 52) & (level < 15)
        process |= (
            (np.abs(y - back - 20 - 0.25 * side) < 4.5) & (side > 14) & (side < 34) & (level < 9)
        )
        process &= (painted != Tissue.AIR) & (painted != Tissue.SKIN)
        painted[process] = Tissue.MARROW
        label[spots] = painted
