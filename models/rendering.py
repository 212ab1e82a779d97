"""Simulated images on CPU or GPU, many at a time: the pixels of the numpy source, in torch.

The promise kept here: the same look-up with the same record gives the image that
``cmr_node.phantom.scanner.source.render`` gives, apart from the noise.  The patient, the contrasts
and everything else that is drawn come from there and from :mod:`models.draws`; written a second
time, in the same order, is only what is done to every pixel, and a test holds the two together.
A seed decides everything on one device; CPU and CUDA make different noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cmr_node.geometry.standard_view import View
from cmr_node.phantom.scanner.acquire import border_mask
from cmr_node.phantom.scanner.contrast import Kind, draw_contrast
from cmr_node.phantom.scanner.source import Sketch, Source
from models.draws import BANDED_FLIP_DEG, BORDERS, Record, draw

Drawn = dict[str, Tensor]  #: the fields of a batch of records on the device, (n, ...)


@dataclass(frozen=True, slots=True)
class Batch:
    """What a training step takes."""

    images: Tensor  #: (n, 1, rows, columns) float32, mean 0 and sd 1 each
    labels: Tensor  #: (n, rows, columns) uint8, :class:`Tissue`
    views: tuple[View, ...]
    kinds: tuple[Kind, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """A look-up on the device."""

    index: Tensor  #: (samples of a pixel, rows, columns) int16, tissue and texture
    flow: Tensor  #: likewise uint8; factor on the signal of blood, in 1 / 128
    labels: Tensor  #: (rows, columns) uint8

    @classmethod
    def of(cls, sketch: Sketch, device: torch.device) -> Held:
        """``sketch`` brought to ``device``: 0.4 MB for 128 x 128 pixels of eight samples."""
        return cls(
            index=torch.from_numpy(sketch.index.astype(np.int16)).to(device),
            flow=torch.from_numpy(sketch.flow).to(device),
            labels=torch.from_numpy(sketch.labels).to(device),
        )


@dataclass(slots=True)
class TorchSource:
    """An endless supply; two with the same source and device give the same batches."""

    source: Source  #: where look-ups come from, and how long each is used
    device: torch.device | str = "cpu"
    look_ups: Iterator[Sketch] | None = None  #: without end, made elsewhere; None: of ``source``

    def batches(self, size: int) -> Iterator[Batch]:
        """Batches of ``size`` slices without end."""
        device = torch.device(self.device)
        rng = np.random.default_rng([self.source.seed, 2])
        noise = torch.Generator(device).manual_seed(int(rng.integers(1 << 62)))
        chosen = self._chosen(rng, device)
        while True:
            pairs = [next(chosen) for _ in range(size)]
            contrasts = [draw_contrast(rng) for _ in pairs]
            records = np.stack(
                [
                    draw(sketch, contrast, rng)
                    for (sketch, _), contrast in zip(pairs, contrasts, strict=True)
                ]
            )
            held = [one for _, one in pairs]
            yield Batch(
                images=render(held, records, noise)[:, None],
                labels=torch.stack([one.labels for one in held]),
                views=tuple(sketch.view for sketch, _ in pairs),
                kinds=tuple(contrast.kind for contrast in contrasts),
            )

    def _chosen(
        self, rng: np.random.Generator, device: torch.device
    ) -> Iterator[tuple[Sketch, Held]]:
        """Look-ups in the order in which they are rendered, as :class:`Source` takes turns."""
        source = self.source
        fresh = self.look_ups if self.look_ups is not None else map(source.sketch, count())
        waiting: list[tuple[Sketch, Held, int]] = []
        while True:
            if len(waiting) < source.pool and (not waiting or rng.random() < 0.5):
                sketch = next(fresh)
                waiting.append((sketch, Held.of(sketch, device), source.renderings))
            place = int(rng.integers(len(waiting)))
            sketch, held, left = waiting[place]
            if left == 1:
                waiting.pop(place)
            else:
                waiting[place] = (sketch, held, left - 1)
            yield sketch, held


def render(held: Sequence[Held], records: Record, noise: torch.Generator | None) -> Tensor:
    """(n, rows, columns), mean 0 and standard deviation 1 each.

    Parameters
    ----------
    held
        n look-ups of one shape and sampling, all on the device that is to render.
    records
        (n,), see :func:`models.draws.draw`; each was drawn for the look-up at its place.
    noise
        On the same device; None makes images without noise.
    """
    # A CPU's cache holds a few images; a GPU is the faster the more it has at once.
    step = 8 if held[0].index.device.type == "cpu" else len(held)
    parts = (slice(first, first + step) for first in range(0, len(held), step))
    return torch.cat([_at_once(held[part], records[part], noise) for part in parts])


def _at_once(held: Sequence[Held], records: Record, noise: torch.Generator | None) -> Tensor:
    shape, device = held[0].labels.shape, held[0].index.device
    flat = torch.from_numpy(records.view(np.float32).reshape(len(records), -1)).to(device)
    drawn = _named(flat, records.dtype)
    ideal = _ideal(held, drawn, np.flatnonzero(records["flow"]))
    # A place in the patient is the sum of what its row and what its column gives.
    rows, columns = (torch.arange(size, device=device, dtype=torch.float32) for size in shape)
    down = drawn["position"][..., None] + drawn["down"][..., None] * rows
    right = drawn["right"][..., None] * columns
    gain = _coil_sensitivity(drawn, down, right)
    # Which way an image goes is known here already: asking the device would wait for it.
    mapped, received, banded = (
        torch.from_numpy(np.flatnonzero(which)).to(device)
        for which in (
            records["map_noise"] > 0,
            records["map_noise"] == 0,
            records["repetition"] > 0,
        )
    )
    if len(banded):
        gain[banded] *= _banding(_named(flat[banded], records.dtype), down[banded], right[banded])
    image = torch.empty_like(ideal)
    if len(mapped):
        which = _named(flat[mapped], records.dtype)
        image[mapped] = _map_noise(ideal[mapped], gain[mapped], which, noise)
    if len(received):
        which = _named(flat[received], records.dtype)
        signal = _through_k_space(ideal[received] * gain[received], which, noise)
        image[received] = _shown(signal, which)
    image *= _masks(shape, device)[drawn["border"].long()]
    mean = image.mean((1, 2), keepdim=True)
    return (image - mean) / (image.std((1, 2), correction=0, keepdim=True) + 1e-6)


def _named(flat: Tensor, layout: np.dtype[np.void]) -> Drawn:
    """The fields of the records (n, numbers) by name, views of them."""
    return dict(_parts(flat, layout, 0, ""))


def _parts(
    flat: Tensor, layout: np.dtype[np.void], start: int, above: str
) -> Iterator[tuple[str, Tensor]]:
    """Each field and its name; one within another is ``outer.inner``."""
    for name, (kind, offset, *_) in (layout.fields or {}).items():
        if kind.fields is not None:
            yield from _parts(flat, kind, start + offset, f"{above}{name}.")
            continue
        first = (start + offset) // 4
        part = flat[:, first : first + kind.itemsize // 4]
        yield above + name, part.reshape(-1, *kind.shape)


def _each(values: Tensor) -> Tensor:
    """(n, 1, 1) of (n,): one number for all pixels of an image."""
    return values[:, None, None]


def _ideal(held: Sequence[Held], drawn: Drawn, flowing: npt.NDArray[np.intp]) -> Tensor:
    """(n, rows, columns): the mean signal of each pixel; ``flowing`` are those that show flow."""
    # One table of all images and 32 bit: half the memory that ``gather`` would ask for.
    table = drawn["table"]
    first = torch.arange(0, table.numel(), table.shape[1], device=table.device, dtype=torch.int32)
    index = torch.stack([one.index for one in held]) + first[:, None, None, None]
    values = table.flatten().index_select(0, index.flatten()).reshape(index.shape)
    ideal = values.mean(1)
    if len(flowing):
        flow = torch.stack([held[place].flow for place in flowing])
        which = torch.from_numpy(flowing).to(ideal.device)
        ideal[which] = (values[which] * flow).mean(1) * (1 / 128)
    return ideal


def _field(drawn: Drawn, name: str, down: Tensor, right: Tensor) -> Tensor:
    """``Field.at`` of every pixel; its angle grows evenly along rows and columns."""
    waves, shifts = drawn[f"{name}.waves"], drawn[f"{name}.shifts"]
    # No matrix product: a trainer who allows fewer digits for those would move the waves.
    by_row, by_column = ((waves[..., None] * part[:, None]).sum(2) for part in (down, right))
    by_row += shifts[..., None]
    return (by_row[..., None] + by_column[:, :, None]).sin_().mean(1)


def _coil_sensitivity(drawn: Drawn, down: Tensor, right: Tensor) -> Tensor:
    """``acquire.coil_sensitivity``; ``down`` (n, 3, rows) and ``right`` (n, 3, columns), mm."""
    x, y, z = (down[..., None] + right[:, :, None]).unbind(1)
    front, rear = (_each(part) for part in drawn["skin"].unbind(1))
    x0, z0 = (_each(part) for part in drawn["middle"].unbind(1))
    height, near = (_each(part) for part in drawn["near"].unbind(1))
    in_front, behind = (_each(part) for part in drawn["share"].unbind(1))
    deep = (y - front + 8).clamp(min=0)
    chest = torch.exp(-deep / _each(drawn["reach"])) + height * torch.exp(-deep / near)
    chest *= torch.exp(-(((x - x0) / 190) ** 2) - ((z - z0) / 150) ** 2)
    back = torch.exp(-(rear - y).clamp(min=0) / 45 - ((z - z0) / 190) ** 2)
    ripple = 1 + 0.28 * _field(drawn, "ripple", down, right)
    sum_of_both = 0.18 + in_front * chest + behind * back
    return torch.pow(sum_of_both * ripple, _each(drawn["unevenness"]))


def _banding(drawn: Drawn, down: Tensor, right: Tensor) -> Tensor:
    """``acquire.off_resonance``, then ``signals.banding``."""
    middle = torch.tensor([40.0, -20.0, 0.0], device=down.device)[:, None]
    away = (down - middle)[..., None] + right[:, :, None]
    edge = (away**2).sum(1) / 150**2
    smooth = 2.2 * _field(drawn, "shim", down, right) + _each(drawn["slope"]) * edge
    repetition = _each(drawn["repetition"])
    turns = _each(drawn["shim_hz"]) * smooth * repetition * 1e-3
    flip = float(np.cos(np.deg2rad(BANDED_FLIP_DEG)))
    e1, e2 = torch.exp(-repetition / 1000), torch.exp(-repetition / 50)

    def signal(cosine: Tensor) -> Tensor:
        below = (1 - e1 * flip) * (1 - e2 * cosine) - e2 * (e1 - flip) * (e2 - cosine)
        return torch.sqrt(1 + e2**2 - 2 * e2 * cosine) / below

    # cos(pi (1 + 2 turns)), and on resonance cos(pi).
    return signal(-torch.cos(2 * torch.pi * turns)) / signal(torch.full_like(e1, -1))


def _map_noise(ideal: Tensor, gain: Tensor, drawn: Drawn, noise: torch.Generator | None) -> Tensor:
    """The noise of a T1 map: some tens of ms in tissue, anything where there is no signal."""
    error, nothing = torch.zeros_like(ideal), torch.zeros_like(ideal)
    if noise is not None:
        error.normal_(generator=noise)
        nothing.uniform_(generator=noise)
    tissue = ideal.abs() + error * _each(drawn["map_noise"]) / gain
    return torch.where(ideal < 0.02, nothing, tissue)


def _through_k_space(ideal: Tensor, drawn: Drawn, noise: torch.Generator | None) -> Tensor:
    """``acquire.through_k_space``: complex, (n, rows, columns)."""
    k = torch.fft.fft2(ideal, norm="ortho")
    k *= _lines(drawn)[:, :, None]
    if noise is not None:
        parts = torch.randn((*k.shape, 2), generator=noise, device=k.device)
        k += torch.view_as_complex(parts) * _each(drawn["noise"])
    down, right = (
        _window(size, share, drawn["filtered"])
        for size, share in zip(ideal.shape[1:], drawn["sampled"].unbind(1), strict=True)
    )
    k *= down[:, :, None] * right[:, None]
    received: Tensor = torch.fft.ifft2(k, norm="ortho")
    return received


def _lines(drawn: Drawn) -> Tensor:
    """(n, rows) complex: what breathing and pulsation do to each line; 1 without ghosts."""
    ghost, wobble = drawn["ghost"][:, None], drawn["wobble"]
    line = torch.arange(wobble.shape[1], device=wobble.device)
    angle = drawn["pace"][..., None] * line + drawn["start"][..., None]
    return torch.polar(1 + ghost * wobble, ghost * angle.sin().sum(1))


def _window(size: int, share: Tensor, filtered: Tensor) -> Tensor:
    """(n, size) in FFT order: 1 inside the sampled share, falling towards its edge."""
    share, filtered = share[:, None], filtered[:, None]
    frequency = torch.fft.fftfreq(size, device=share.device).abs() * 2 / share
    fall = ((frequency - (1 - filtered)) / filtered.clamp(min=1e-6)).clamp(0, 1)
    return torch.where(frequency <= 1, 0.5 + 0.5 * torch.cos(torch.pi * fall), 0.0)


def _shown(signal: Tensor, drawn: Drawn) -> Tensor:
    """The real part or the magnitude, made darker or brighter by a power."""
    image = torch.where(_each(drawn["signed"]) > 0, signal.real, signal.abs())
    return image.sign() * torch.pow(image.abs(), _each(drawn["power"]))


@cache
def _masks(shape: torch.Size, device: torch.device) -> Tensor:
    """(borders, rows, columns): which pixels the scanner shows, in the order of ``BORDERS``."""
    rows, columns = shape
    masks = np.stack([border_mask((rows, columns), border) for border in BORDERS])
    return torch.from_numpy(masks).to(device)
