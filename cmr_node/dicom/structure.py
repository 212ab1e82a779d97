"""Whether a data set's bytes hang together, before a library meets them.

The promise kept here: what passes is nested at most ``MAX_NESTING`` deep, every length lies
within what encloses it, and nothing follows the last element.  The walk keeps its own stack,
so neither depth nor a forged length costs memory.  Values are not looked at, and private
elements of known length stay closed: nobody opens them later.
"""

from __future__ import annotations

import struct

from pydicom.datadict import dictionary_VR
from pydicom.valuerep import STANDARD_VR

from cmr_node.dicom.walk import MAX_NESTING
from cmr_node.errors import BadInstance, UndecodablePixels, UnreadableHeader

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXEL_DATA = 0x7FE00010
LONG_LENGTH = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
KNOWN = frozenset(vr.encode() for vr in STANDARD_VR)
UNKNOWN = frozenset((b"??", b"--"))
"""What old writers put for a VR they did not know; 16 bit length."""
FRAGMENTS = frozenset((b"OB", b"OW"))
"""VRs that hold fragments, not items, where their length is undefined (PS3.5 A.4)."""
_NO_TAG = b"\0\0\0\0"


class _Level:
    """One open data set, sequence or string of fragments: what may come, and up to where.

    ``delimited``: its end is marked by a delimiter, not by its length.
    """

    __slots__ = ("delimited", "end", "holds", "implicit", "owner")

    def __init__(
        self, holds: str, end: int, implicit: bool, owner: int, *, delimited: bool
    ) -> None:
        self.holds, self.end, self.implicit, self.owner = holds, end, implicit, owner
        self.delimited = delimited


def check(data: bytes | memoryview, *, implicit: bool, little_endian: bool = True) -> int:
    """Walk a whole data set and say where it ends.

    Parameters
    ----------
    data
        The data set, from its first element on (no preamble, no file meta information).
    implicit, little_endian
        The encoding, of PS3.5 7.1 and 7.3.

    Returns
    -------
    The number of bytes the data set takes; anything after them is zeros (padding of the file).

    Raises
    ------
    UnreadableHeader
        Nested too deep, a length past its enclosure, an impossible VR, bytes after the end.
    UndecodablePixels
        Pixel Data is the element that is cut off.
    """
    view = memoryview(data).cast("B")
    order = "<" if little_endian else ">"
    tag_at = struct.Struct(f"{order}HH").unpack_from
    short_at = struct.Struct(f"{order}H").unpack_from
    long_at = struct.Struct(f"{order}L").unpack_from
    stack = [_Level("elements", len(view), implicit, 0, delimited=False)]
    position = 0
    while stack:
        level = stack[-1]
        if position == level.end and not level.delimited:
            stack.pop()
            continue
        if (
            len(stack) == 1
            and view[position : position + 4] == _NO_TAG
            and not any(view[position:])
        ):
            return position
        if position + 8 > level.end:
            raise _cut(level.owner, f"{level.end - position} bytes where an element must begin")
        group, element = tag_at(view, position)
        tag = group << 16 | element
        start = position
        if group == 0xFFFE:
            length = long_at(view, position + 4)[0]
            position += 8
            if tag == (ITEM_END if level.holds == "elements" else SEQUENCE_END):
                if not level.delimited:
                    raise UnreadableHeader(f"{_name(tag)} at byte {start} ends nothing")
                stack.pop()
            elif tag != ITEM or level.holds == "elements":
                raise UnreadableHeader(f"{_name(tag)} at byte {start} where none can be")
            elif level.holds == "fragments":
                position = _past(position, length, level.end, level.owner)
            else:
                open_end = length == UNDEFINED
                end = level.end if open_end else _past(position, length, level.end, level.owner)
                item = _Level("elements", end, level.implicit, level.owner, delimited=open_end)
                stack.append(item)
            continue
        if level.holds != "elements":
            raise UnreadableHeader(
                f"{_name(tag)} at byte {start} inside {_name(level.owner)}; only items are allowed"
            )
        vr = b""
        if level.implicit:
            length = long_at(view, position + 4)[0]
            position += 8
        else:
            vr = bytes(view[position + 4 : position + 6])
            if vr not in KNOWN and vr not in UNKNOWN:
                raise UnreadableHeader(
                    f"VR {vr!r} of {_name(tag)} at byte {start}; allowed: those of PS3.5 6.2"
                )
            if vr in LONG_LENGTH:
                if position + 12 > level.end:
                    raise _cut(tag, "no length")
                length = long_at(view, position + 8)[0]
                position += 12
            else:
                length = short_at(view, position + 6)[0]
                position += 8
        if length == UNDEFINED or (length and _is_sequence(tag, vr)):
            # A sequence and its item are two levels on the stack and one of nesting.
            if len(stack) > 2 * MAX_NESTING:
                raise UnreadableHeader(
                    f"sequences nested more than {MAX_NESTING} deep (limit) at byte {start}"
                )
            open_end = length == UNDEFINED
            end = level.end if open_end else _past(position, length, level.end, tag)
            fragments = open_end and (tag == PIXEL_DATA or vr in FRAGMENTS)
            holds = "fragments" if fragments else "items"
            # PS3.5 6.2.2 note 2: a sequence sent as UN is implicit VR inside.
            inside = level.implicit or vr == b"UN"
            stack.append(_Level(holds, end, inside, tag, delimited=open_end))
        else:
            position = _past(position, length, level.end, tag)
    return position


def _is_sequence(tag: int, vr: bytes) -> bool:
    if tag >> 16 & 1:
        return False
    if vr not in (b"", b"UN"):
        return vr == b"SQ"
    try:
        return dictionary_VR(tag) == "SQ"
    except KeyError:
        return False


def _past(position: int, length: int, end: int, owner: int) -> int:
    if length > end - position:
        raise _cut(owner, f"{length} bytes are announced, {end - position} are there")
    return position + length


def _cut(owner: int, found: str) -> BadInstance:
    kind = UndecodablePixels if owner == PIXEL_DATA else UnreadableHeader
    return kind(f"{_name(owner) if owner else 'the data set'} is cut off: {found}")


def _name(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
