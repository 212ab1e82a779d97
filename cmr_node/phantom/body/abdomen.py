"""What lies below the diaphragm in a cardiac image: liver, stomach, spleen, bowel, kidney, fat.

The promise kept here: right stays right.  The liver fills the right and crosses the midline in
front, stomach and spleen lie left, bowel below them; their shapes vary from patient to patient.
Coordinates are the patient's (LPS, mm).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from cmr_node.phantom.body.fields import Field, Points
from cmr_node.phantom.body.tissues import Labels, Tissue


@dataclass(frozen=True, slots=True)
class Abdomen:
    """Lengths in mm."""

    liver_edge: float  #: x to which the left lobe reaches in front
    liver_floor: float  #: z of its lower edge far right
    stomach: tuple[float, float, float]  #: its half axes
    stomach_top: float  #: z
    spleen_top: float
    gas: float  #: y in front of which the stomach holds gas
    meal: float  #: 0 empty (folded walls), 1 full
    content: Field  #: what the loops of bowel hold
    loops: tuple[Field, Field, Field]  #: bowel runs where two have a certain value
    gall_bladder: tuple[float, float, float]  #: its middle
    lumps: Field
    folds: Field
    tree: tuple[Field, Field]  #: vessels of the liver run where both are 0

    @classmethod
    def draw(cls, rng: np.random.Generator, right_dome: float, left_dome: float) -> Self:
        """Organs under domes of the diaphragm of these heights (z)."""
        return cls(
            liver_edge=float(rng.uniform(38, 92)),
            liver_floor=float(rng.uniform(-150, -118)),
            stomach=(
                float(rng.uniform(26, 42)),
                float(rng.uniform(38, 58)),
                float(rng.uniform(24, 42)),
            ),
            stomach_top=left_dome - float(rng.uniform(2, 12)),
            spleen_top=left_dome - float(rng.uniform(6, 26)),
            gas=float(rng.uniform(-60, -22)),
            meal=float(rng.uniform(0, 1)),
            content=Field.draw(rng, 3, 60, 140),
            loops=(
                Field.draw(rng, 3, 55, 95),
                Field.draw(rng, 3, 55, 95),
                Field.draw(rng, 3, 55, 95),
            ),
            gall_bladder=(
                float(rng.uniform(-70, -38)),
                float(rng.uniform(-55, -20)),
                float(rng.uniform(-140, -105)),
            ),
            lumps=Field.draw(rng, 4, 50, 130),
            folds=Field.draw(rng, 4, 12, 30),
            tree=(Field.draw(rng, 3, 28, 70), Field.draw(rng, 3, 28, 70)),
        )

    def paint(self, label: Labels, points: Points, roof: Points) -> None:
        """Lay the organs over ``label`` (n,) at ``points`` (3, n), all below the diaphragm.

        ``roof`` is the diaphragm's height z at each place.
        """
        x, y, z = points
        label[:] = Tissue.FAT
        lumps, folds = self.lumps.at(points), self.folds.at(points)
        self._bowel(label, points, lumps)
        self._kidneys(label, x, y, z, lumps, folds)
        self._spleen(label, x, y, z, lumps)
        self._stomach(label, x, y, z, lumps, folds)
        self._liver(label, points, lumps)
        under = roof - z
        label[under < 2.0 + 1.6 * lumps] = Tissue.MUSCLE
        sheet = (under > 2.6) & (under < 3.4 + 5 * folds) & (label != Tissue.LIVER)
        label[sheet] = Tissue.FAT
        crus = np.hypot((np.abs(x - 4) - 14) / 7, (y - 44) / 13) < 1
        label[crus] = Tissue.MUSCLE

    def _bowel(self, label: Labels, points: Points, lumps: Points) -> None:
        """Loops wind where two fields are near 0 together; what they hold changes slowly."""
        one, other, third = (field.at(points) for field in self.loops)
        # A field rises by about 0.03 per mm where it crosses 0.
        away = np.sqrt(np.minimum(one**2 + other**2, (one - 0.4) ** 2 + third**2)) * 33
        calibre = np.float32(11) + 9 * lumps
        thick = 2.0 + 5.0 * np.clip(one * other * 12 + 0.3, 0, 1)
        label[away < calibre] = Tissue.MUSCLE
        inside = away < calibre - thick
        holds = self.content.at(points)
        label[inside] = Tissue.BOWEL
        label[inside & (holds > 0.12)] = Tissue.STOMACH
        label[inside & (holds < -0.22)] = Tissue.AIR
        # Vessels of the mesentery between the loops.
        branch, twig = (field.at(points) for field in self.tree)
        label[(branch**2 + twig**2 < 0.07**2) & (away > calibre)] = Tissue.BLOOD

    def _kidneys(
        self, label: Labels, x: Points, y: Points, z: Points, lumps: Points, folds: Points
    ) -> None:
        around = np.sqrt(
            ((np.abs(x - 4) - 56) / 27) ** 2 + ((y - 48) / 25) ** 2 + ((z + 135) / 52) ** 2
        )
        around += 0.20 * lumps
        label[around < 1.25] = Tissue.FAT
        label[around < 1] = Tissue.KIDNEY
        label[around < 0.38 + 0.45 * folds] = Tissue.FAT

    def _spleen(self, label: Labels, x: Points, y: Points, z: Points, lumps: Points) -> None:
        z0 = self.spleen_top - 50
        shape = ((x - 100) / 34) ** 2 + ((y - 40) / 46) ** 2 + ((z - z0) / 52) ** 2 + 0.35 * lumps
        # Hollow on the side of the stomach.
        hollow = ((x - 62) / 36) ** 2 + ((y - 30) / 40) ** 2 + ((z - z0) / 60) ** 2
        label[(shape < 1.12) & (hollow > 0.92)] = Tissue.FAT
        label[(shape < 1.0) & (hollow > 1)] = Tissue.SPLEEN

    def _stomach(
        self, label: Labels, x: Points, y: Points, z: Points, lumps: Points, folds: Points
    ) -> None:
        rx, ry, rz = self.stomach
        shape = ((x - 62) / rx) ** 2 + ((y - 4) / ry) ** 2 + ((z - self.stomach_top + rz) / rz) ** 2
        # Its fundus is wide and it narrows and bends forward on its way down.
        bent = 0.006 * (x - 62) * (y - 4) / 10 - 0.004 * (y - 4) * (z - self.stomach_top + rz) / 10
        shape = shape + 0.9 * lumps + bent + 0.12 * folds
        shape = np.sqrt(np.maximum(shape, np.float32(1e-3)))
        out = (shape - 1) * min(rx, ry, rz)
        label[out < np.clip(1.5 + 6 * lumps, 0, 5)] = Tissue.FAT
        label[out < 0] = Tissue.MUSCLE
        # The emptier, the thicker and the more folded its wall.
        inner = out < -3.5 - (1 - self.meal) * np.clip(14 * np.abs(folds) + 4, 0, 14)
        label[inner] = Tissue.STOMACH
        label[inner & (self.meal > 0.5) & (folds > 0.30)] = Tissue.BOWEL
        label[inner & (y < self.gas)] = Tissue.AIR  # gas rises to the front of a supine patient

    def _liver(self, label: Labels, points: Points, lumps: Points) -> None:
        x, y, z = points
        edge = self.liver_edge - 0.95 * (y + 45) + 22 * lumps
        under = (
            self.liver_floor + 0.62 * (x + 110) - 0.25 * (y + 30) + 26 * lumps
        )  # thins to the left
        out = np.maximum(x - edge, 0.75 * (under - z))
        # Here it lies on its neighbours, there fat parts them.
        label[out < np.clip(0.8 + 9 * lumps, 0, 6)] = Tissue.FAT
        liver = out < 0
        label[liver] = Tissue.LIVER
        one, other = (field.at(points) for field in self.tree)
        # Hepatic veins grow towards the inferior vena cava.
        cava = np.sqrt((x + 24) ** 2 + (y - 20) ** 2 + 0.3 * (z + 45) ** 2)
        calibre = 0.06 + 0.13 * np.exp(-cava / 45)
        label[liver & (one**2 + other**2 < calibre**2)] = Tissue.BLOOD
        label[np.hypot(x + 24, y - 20) < 12] = Tissue.BLOOD
        gx, gy, gz = self.gall_bladder
        gall = ((x - gx) / 13) ** 2 + ((y - gy) / 17) ** 2 + ((z - gz) / 24) ** 2
        label[gall < 1] = Tissue.STOMACH
