"""The contact sheet: each stack before and after, the decision beside it, for any number.

The promise kept here: panels are drawn as they come and forgotten, so memory does not grow with
their number; and what appears under the final name is whole, also when the panels end in an
exception.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cmr_node.pictures.picture import Panel
from cmr_node.pictures.sheet_html import write_html
from cmr_node.pictures.sheet_png import write_pages

WRITERS = {".png": write_pages, ".html": write_html}


def contact_sheet(panels: Iterable[Panel], path: Path, heading: str) -> list[Path]:
    """Draw one panel for each stack, in order.

    Parameters
    ----------
    panels
        Read one by one, each drawn before the next is asked for.  None at all gives a sheet
        that says so.
    path
        Ends in ``.png``: pictures of at most 24 panels, ``<stem>.png``, ``<stem>-2.png`` and so
        on; pages of an earlier, longer sheet are not looked for.  Or in ``.html``: one page for a
        browser that needs nothing else.
    heading
        Of the sheet.

    Returns
    -------
    The files written, ``path`` first.

    Raises
    ------
    ValueError
        Another suffix.
    OSError
        A file cannot be written.
    """
    write = WRITERS.get(path.suffix.lower())
    if write is None:
        raise ValueError(f"{path.name} is no name of a sheet, allowed is one in .png or .html")
    return write(panels, path, heading)
