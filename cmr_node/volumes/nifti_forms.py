"""qform and sform: the two places of a NIfTI header that say where voxels are (nifti1.h).

The promise kept here: both forms are read as nifti1.h defines them, and turned forms put every
voxel where it was.  A form exists if its code is above 0; the codes name the space that its
coordinates are in, all of them RAS.

The quaternion of a qform keeps three of four numbers; the fourth, w, is the root of what they
leave of 1.  In 32 bits a w below 0.006 (a turn within 0.7 degrees of half a turn) loses more
than plain rounding can afford, so the neighbours of the rounded numbers are tried as well.  A w
below 6e-4 is read as 0 by nibabel whatever is written: such a result fails its proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from nibabel import quaternions

from cmr_node.errors import UnusableGeometry
from cmr_node.geometry.orientation import Orientation
from cmr_node.volumes.affines import Array, checked, corners, index_matrix
from cmr_node.volumes.nifti_header import Header

MAX_DISAGREEMENT = 1.0
"""mm, at the corners of the volume, between forms that claim the same space: a 32-bit quaternion
costs less than half of it, a form that somebody forgot to update costs more."""

SCANNER = 1  # NIFTI_XFORM_SCANNER_ANAT
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MILLIMETRES = {1: 1e3, 2: 1.0, 3: 1e-3}  # xyzt_units & 7: metre, millimetre, micrometre
_SECONDS = {8: 1.0, 16: 1e-3, 24: 1e-6}  # xyzt_units & 56: second, millisecond, microsecond
_QUATERNION = ("quatern_b", "quatern_c", "quatern_d")
_OFFSET = ("qoffset_x", "qoffset_y", "qoffset_z")
_ROWS = ("srow_x", "srow_y", "srow_z")
_NIFTI_CLIB_W2 = 1e-7  # below it w is 0 to nifti1_io.c, and so to ITK
_quaternions: Any = quaternions  # nibabel's has no types


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """One form: its name, its code, and (i, j, k, 1) to its space, RAS, unit of the file."""

    name: str
    code: int
    affine: Array


def forms(fields: Header) -> list[Form]:
    """The forms that exist, sform first.

    Raises
    ------
    UnusableGeometry
        One of them is no affine, or no rotation.
    """
    found = []
    if int(fields["sform_code"]) > 0:
        found.append(Form("sform", int(fields["sform_code"]), checked(_sform(fields), "sform")))
    if int(fields["qform_code"]) > 0:
        found.append(Form("qform", int(fields["qform_code"]), checked(_qform(fields), "qform")))
    return found


def patient_affine(fields: Header, shape: tuple[int, int, int]) -> Array:
    """(4, 4): (i, j, k, 1) to the patient, mm, LPS.

    The sform is used if it exists, else the qform.  If both exist and do not agree at the
    corners of the volume, their codes decide.  Equal codes: one of the two is wrong, and nobody
    can know which.  Different codes: the two may rightly differ (a scanner's position beside an
    alignment with an atlas), and only the form with code 1, scanner, is about the patient's
    position; with no such form nothing is known.

    Parameters
    ----------
    shape
        (slices, rows, columns).

    Raises
    ------
    UnusableGeometry
        No form exists, one is no affine, or they contradict each other.
    """
    found = forms(fields)
    if not found:
        raise UnusableGeometry("qform_code and sform_code are 0: no position in the patient")
    chosen = found[0]
    if len(found) == 2:
        ends = corners(shape[::-1])
        apart = (found[0].affine - found[1].affine) @ ends
        error = float(np.linalg.norm(apart, axis=0).max()) * millimetres(fields)
        scanner = [form for form in found if form.code == SCANNER]
        if error > MAX_DISAGREEMENT and len(scanner) != 1:
            raise UnusableGeometry(
                f"sform (code {found[0].code}) and qform (code {found[1].code}) disagree by "
                f"{error:.3g} mm (limit {MAX_DISAGREEMENT:g}), and the codes prefer neither"
            )
        chosen = (scanner or found)[0]
    scale = np.diag([*(millimetres(fields),) * 3, 1.0])
    return _RAS_TO_LPS @ scale @ chosen.affine


def millimetres(fields: Header) -> float:
    """mm in the unit of length of the file; 1 if it names none."""
    return _MILLIMETRES.get(int(fields["xyzt_units"]) & 7, 1.0)


def phase_duration(fields: Header, phases: int) -> float:
    """s from one phase to the next; 0.0 if there is one phase, no unit, or no such number."""
    step = float(fields["pixdim"][4])
    seconds = _SECONDS.get(int(fields["xyzt_units"]) & 56, 0.0)
    return step * seconds if phases > 1 and 0 < step < np.inf else 0.0


def turn(fields: Header, operation: Orientation, shape: tuple[int, int]) -> None:
    """Rewrite the existing forms of ``fields`` for turned pictures of (rows, columns), before.

    A mirroring turns qfac; the order of the spacings in ``pixdim`` is left to the caller.

    Raises
    ------
    UnusableGeometry
        A form that exists is no affine: nothing can be kept.
    """
    source_of = index_matrix(operation, shape)
    for form in forms(fields):
        turned = form.affine @ source_of
        if form.name == "sform":
            for name, row in zip(_ROWS, turned, strict=False):
                fields[name] = row
            continue
        # Columns of a rotation with qfac taken out: a mirrored picture keeps its slice axis, so
        # the quaternion's third axis and qfac both change sign.
        axes = _rotation(fields) @ np.sign(source_of[:3, :3]) * (1, 1, operation.chirality)
        numbers = _stored_quaternion(axes, fields)
        for name, number in zip((*_QUATERNION, *_OFFSET), (*numbers, *turned[:3, 3]), strict=True):
            fields[name] = number
        if operation.chirality < 0:
            pixdim = fields["pixdim"].copy()
            pixdim[0] = -_qfac(fields)
            fields["pixdim"] = pixdim


def spacings(fields: Header) -> dict[str, tuple[float, float]]:
    """(between columns, between rows), unit of the file, as each part of the header tells it."""
    across, down = _doubles(fields["pixdim"][1:3]).tolist()
    found = {"pixdim": (across, down)}
    if int(fields["sform_code"]) > 0:
        with np.errstate(invalid="ignore"):
            across, down = np.hypot.reduce(_sform(fields)[:3, :2], axis=0).tolist()
        found["sform"] = (across, down)
    return found


def _doubles(stored: Any) -> Array:
    """A NaN of the signalling kind is a NaN, and no reason for a warning."""
    with np.errstate(invalid="ignore"):
        return np.asarray(stored, dtype=np.float64)


def _sform(fields: Header) -> Array:
    return np.vstack([*(_doubles(fields[name]) for name in _ROWS), [0, 0, 0, 1]])


def _qfac(fields: Header) -> int:
    """-1 or 1; a 0 counts as 1 (nifti1.h, method 2)."""
    qfac = float(fields["pixdim"][0])
    if qfac not in (-1, 0, 1):
        raise UnusableGeometry(f"pixdim[0] (qfac) is {qfac:.6g}; allowed: -1 or 1")
    return -1 if qfac < 0 else 1


def _rotation(fields: Header) -> Array:
    stored = [float(fields[name]) for name in _QUATERNION]
    if not all(abs(number) <= 2 for number in stored):
        raise UnusableGeometry(f"quaternion {stored}; allowed: numbers from -1 to 1")
    try:
        unit = _quaternions.fillpositive(stored, fields.quaternion_threshold)
    except ValueError as fault:
        raise UnusableGeometry(f"quaternion {stored}; allowed: a length of 1 at most") from fault
    return np.asarray(_quaternions.quat2mat(unit.astype(np.float64)), dtype=np.float64)


def _qform(fields: Header) -> Array:
    affine = np.eye(4)
    affine[:3, :3] = _rotation(fields)
    lengths = _doubles(fields["pixdim"][1:4])
    # A single slice may be written without thickness.
    if not (bool(np.all(np.isfinite(lengths))) and min(lengths[:2]) > 0 and lengths[2] >= 0):
        raise UnusableGeometry(
            f"pixdim[1..3] is {lengths.tolist()} beside a qform; allowed: more than 0"
        )
    affine[:3, :3] *= checked(lengths, "pixdim") * (1, 1, _qfac(fields))
    affine[:3, 3] = [float(fields[name]) for name in _OFFSET]
    return affine


def _stored_quaternion(rotation: Array, fields: Header) -> Array:
    """b, c, d, representable in the header, that readers turn into ``rotation`` most closely."""
    exact = np.asarray(_quaternions.mat2quat(rotation), dtype=np.longdouble)
    kind = fields[_QUATERNION[0]].dtype.type
    rounded = exact[1:].astype(kind)
    steps = np.array(list(product(range(-2, 3), repeat=3)))
    tried = (rounded + steps * np.spacing(np.abs(rounded))).astype(kind).astype(np.longdouble)
    w2 = 1 - (tried**2).sum(axis=1)
    error = np.zeros(len(tried), np.longdouble)
    for least in (abs(fields.quaternion_threshold), _NIFTI_CLIB_W2):
        w = np.sqrt(np.where(w2 < least, 0, w2))
        read = np.column_stack([w, tried]) / np.sqrt(w**2 + (1 - w2))[:, None]
        error += ((read - exact) ** 2).sum(axis=1)
        error += np.where(w2 <= -abs(fields.quaternion_threshold), np.inf, 0)  # refused by nibabel
    return np.asarray(tried[int(np.argmin(error))], dtype=np.float64)
