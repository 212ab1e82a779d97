"""The chest around the heart: what tells left from right and up from down in a cardiac image.

The promise kept here: an implicit function of patient coordinates (LPS, mm, the origin mid-chest),
so that any plane can be cut.  Nothing in it moves; the heart is laid over it.  From outside in:
the wall (``chest_wall``), lungs and mediastinum here, and below the diaphragm ``abdomen``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from cmr_node.phantom.body.abdomen import Abdomen
from cmr_node.phantom.body.chest_wall import FRONT_MM, ChestWall
from cmr_node.phantom.body.fields import Field, Points, Vector, to_segment
from cmr_node.phantom.body.tissues import Labels, Tissue


@dataclass(frozen=True, slots=True)
class Thorax:
    """One chest."""

    wall: ChestWall
    abdomen: Abdomen
    right_dome: float  #: z of the top of the right diaphragm, mm
    left_dome: float
    branches: tuple[Field, Field]  #: pulmonary vessels run where both are 0
    soft: Field  #: what lies in the mediastinum's fat
    vessels: tuple[tuple[Vector, Vector, float], ...]  #: start, stop (LPS), radius; mm

    @classmethod
    def draw(cls, rng: np.random.Generator, root: Vector, trunk: Vector) -> Self:
        """A chest of an adult.

        ``root`` and ``trunk`` are where ascending aorta and pulmonary trunk leave the heart.
        """
        wall = ChestWall.draw(rng)
        right_dome = float(rng.uniform(-12, 8))
        left_dome = float(rng.uniform(-34, -18))
        return cls(
            wall=wall,
            abdomen=Abdomen.draw(rng, right_dome, left_dome),
            right_dome=right_dome,
            left_dome=left_dome,
            branches=(Field.draw(rng, 4, 3, 9), Field.draw(rng, 4, 3, 9)),
            soft=Field.draw(rng, 4, 22, 70),
            vessels=_great_vessels(rng, wall, root, trunk),
        )

    @property
    def skin(self) -> tuple[float, float]:
        """y of the skin in front of the heart and on the back, mm."""
        return FRONT_MM, self.wall.rear

    def labels(self, points: Points) -> Labels:
        """The tissue at ``points`` (3, n); returns (n,)."""
        x, y, z = points
        label = np.full(x.shape, Tissue.AIR, np.uint8)
        depth, under = self.wall.depths(points)
        body = np.flatnonzero(depth > 0)
        part, painted = points[:, body], label[body]
        self.wall.paint(painted, part, depth[body], under[body])
        label[body] = painted
        # Under the shoulder blades and towards the armpits the muscle is thicker.
        shoulder = 0.28 * np.clip(z - 5, 0, 90) * np.clip(np.abs(x) / 90 + y / 200 - 0.3, 0, 1)
        cavity = under > self.wall.muscle + 12.5 + shoulder
        roof = self.diaphragm(x, y)
        for region, paint in (
            (np.flatnonzero(cavity & (z >= roof)), self._chest),
            (np.flatnonzero(cavity & (z < roof)), self.abdomen.paint),
        ):
            painted = label[region]
            paint(painted, points[:, region], roof[region])
            label[region] = painted
        self.wall.paint_spine(label, points)
        self._vessels(label, points)
        return label

    def diaphragm(self, x: Points, y: Points) -> Points:
        """Its height z: two domes and the saddle between them on which the heart lies."""

        def dome(x0: float, y0: float, top: float, rx: float, ry: float) -> Points:
            cap = 1 - ((x - x0) / rx) ** 2 - ((y - y0) / ry) ** 2
            return np.asarray(top + 75 * (np.sqrt(np.maximum(cap, 0)) - 1))

        right = dome(-66, 4, self.right_dome, 88, 96)
        left = dome(70, 14, self.left_dome, 84, 92)
        saddle = dome(24, -28, self.left_dome - 8, 105, 95)
        return np.maximum(np.maximum(right, left), saddle)

    def _chest(self, label: Labels, points: Points, roof: Points) -> None:
        """Lungs whose vessels fan out from the hilum; the mediastinum between them."""
        x, y, z = points
        label[:] = Tissue.LUNG
        side = np.abs(x - 5)
        away = np.stack([side - 34, y - 24, z - 18])
        far = np.sqrt(np.einsum("ij,ij->j", away, away)) + np.float32(8)
        # Fields of direction alone would make perfect rays; the slow term bends and forks them.
        bearing = np.where(x > 5, np.float32(22), np.float32(26)) * away / far
        bearing += 0.055 * away
        one, other = (field.at(bearing) for field in self.branches)
        calibre = 2.6 * np.exp(-far / 60) + np.float32(0.55)
        label[(one**2 + other**2) < (0.42 * calibre / np.sqrt(far)) ** 2] = Tissue.BLOOD
        soft = self.soft.at(points)
        width = np.clip(9 + 0.30 * (y + 35), 7, 26) + 0.10 * np.maximum(z, 0) + 9 * soft
        middle = side < width
        label[middle] = Tissue.FAT
        label[middle & (np.abs(soft) < 0.014)] = Tissue.MUSCLE  # septa and small vessels
        label[middle & (soft > 0.55)] = Tissue.MUSCLE  # lymph nodes, thymus
        trachea = np.hypot(x - 2, y - 22)
        label[middle & (trachea < 10) & (z > 45)] = Tissue.CARTILAGE
        label[middle & (trachea < 8.5) & (z > 45)] = Tissue.AIR
        gullet = np.hypot(x - 6, (y - 42) * 1.3)
        label[middle & (gullet < 9)] = Tissue.MUSCLE
        label[middle & (gullet < 3)] = Tissue.AIR
        label[z - roof < 2.2] = Tissue.MUSCLE

    def _vessels(self, label: Labels, points: Points) -> None:
        x, y, _ = points
        spots = np.flatnonzero((np.abs(x) < 75) & (y > -75) & (y < 75) & (label != Tissue.AIR))
        part, painted = points[:, spots], label[spots]
        for start, stop, radius in self.vessels:
            away = to_segment(part, start, stop)
            sleeve = (away < radius + 4) & (painted == Tissue.LUNG)
            painted[sleeve] = Tissue.FAT
            painted[(away < radius + 1.6) & (painted != Tissue.BLOOD)] = Tissue.VESSEL_WALL
            painted[away < radius] = Tissue.BLOOD
        label[spots] = painted


def _great_vessels(
    rng: np.random.Generator, wall: ChestWall, root: Vector, trunk: Vector
) -> tuple[tuple[Vector, Vector, float], ...]:
    """Aorta with arch, pulmonary arteries, upper and lower vena cava as straight pieces."""
    x, y, z = root
    ascending = float(rng.uniform(12.5, 15.5))
    descending = float(rng.uniform(10, 12.5))
    tail = wall.back - 14
    aorta = [(x, y, z), (x - 6, y - 2, z + 42), (x + 2, y + 12, z + 62), (18, tail - 12, z + 60)]
    aorta += [(25, tail, z + 38), (24, tail, 0), (17, tail + 1, -150)]
    radii = [ascending] * 2 + [descending + 1] + [descending] * 3
    pieces = list(zip(aorta[:-1], aorta[1:], radii, strict=True))
    tx, ty, tz = trunk
    fork = (tx - 2, ty + 34, tz + 20)
    pieces += [
        (tuple(trunk), fork, 12.0),
        (fork, (-34.0, fork[1] + 6, fork[2] - 4), 9.5),
        (fork, (tx + 28, fork[1] + 18, fork[2] + 2), 9.0),
        ((-26.0, 0.0, 42.0), (-24.0, -4.0, 110.0), 9.0),
        ((-26.0, 14.0, -20.0), (-22.0, 24.0, -150.0), 11.0),
    ]
    return tuple((np.array(a, float), np.array(b, float), r) for a, b, r in pieces)
