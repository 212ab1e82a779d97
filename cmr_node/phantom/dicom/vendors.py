"""How scanners of each vendor name what they scan.

The promise kept here: what differs between vendors and is no fact of physics or geometry stands
in one table.  It holds public attributes only; private elements are nowhere written.

    siemens   a stack of breath-holds is a series, or each slice one; words with underscores
    ge        a stack is a series; ImagesInAcquisition counts it; the short-axis cine, scanned by
              default, has no description, and ProtocolName speaks of the whole examination
    philips   a stack is one Enhanced MR instance; values are real numbers, rescaled
    plain     none of them: what is written unless a plan says otherwise

Descriptions are of the form the vendors' default protocols have; sites edit them at will.  Values
of ImageType beyond the third are free text of the vendor (PS3.3 C.8.3.1.1.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cmr_node.geometry.standard_view import View
from cmr_node.phantom.scanner.scan import Contrast
from cmr_node.phantom.series import LOCALIZER


class Vendor(StrEnum):
    """Whose scanner writes the study."""

    PLAIN = "plain"
    SIEMENS = "siemens"
    GE = "ge"
    PHILIPS = "philips"


@dataclass(frozen=True, slots=True)
class Words:
    """What a series calls itself."""

    description: str  #: SeriesDescription; ``{view}`` stands for the view
    sequence_name: str
    image_type: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Style:
    """One vendor's habits."""

    manufacturer: str
    models: Mapping[float, str]  #: by field strength, T
    words: Mapping[str, Words]  #: by :class:`Contrast`, and ``localizer``
    protocol_name: str = ""  #: of every series; empty: the description
    upper_case: bool = False  #: how the view is written
    counts_images: bool = True  #: whether ImagesInAcquisition is written
    multi_frame: bool = False  #: Enhanced MR, rescaled
    nameless: tuple[str, ...] = ()  #: series (``cine_sax``) without a description

    def description(self, name: str, kind: str, view: View) -> str:
        """SeriesDescription of the series ``name``; empty where this vendor leaves it out."""
        if name in self.nameless:
            return ""
        shown = view.upper() if self.upper_case else str(view)
        return self.words[kind].description.format(view=shown)

    def protocol(self, description: str) -> str:
        """ProtocolName; empty where there is none to write."""
        return self.protocol_name or description


_ORIGINAL = ("ORIGINAL", "PRIMARY", "OTHER")
_DERIVED = ("DERIVED", "SECONDARY", "OTHER")
_NORM = ("NORM", "DIS2D")
_M = ("ORIGINAL", "PRIMARY", "M")

STYLES = {
    Vendor.PLAIN: Style(
        manufacturer="CMR Node",
        models={1.5: "Phantom", 3.0: "Phantom"},
        words={
            LOCALIZER: Words("localizer", "bSSFP", _ORIGINAL),
            Contrast.CINE: Words("cine_{view}", "bSSFP", _ORIGINAL),
            Contrast.LATE_ENHANCEMENT: Words("lge_{view}", "IR-GRE", _ORIGINAL),
            Contrast.PHASE_SENSITIVE: Words("psir_{view}", "IR-GRE", (*_DERIVED, "PSIR")),
            Contrast.T2: Words("t2_{view}", "TSE", _ORIGINAL),
            Contrast.T1_MAP: Words("t1map_{view}", "MOLLI", ("DERIVED", "SECONDARY", "T1 MAP")),
        },
    ),
    Vendor.SIEMENS: Style(
        manufacturer="SIEMENS",
        models={1.5: "Aera", 3.0: "Skyra"},
        words={
            LOCALIZER: Words("localizer", "*tfi2d1_84", (*_M, *_NORM)),
            Contrast.CINE: Words("cine_trufi_{view}", "*tfi2d1_15", (*_M, "RETRO", *_NORM)),
            Contrast.LATE_ENHANCEMENT: Words(
                "de_tfl_psir_{view}_MAG", "*tfl2d1_25", (*_M, *_NORM, "MAG")
            ),
            Contrast.PHASE_SENSITIVE: Words(
                "de_tfl_psir_{view}_PSIR", "*tfl2d1_25", (*_M, *_NORM, "PSIR")
            ),
            Contrast.T2: Words("t2_tse_db_fs_{view}", "*tse2d1_21", (*_M, *_NORM)),
            Contrast.T1_MAP: Words(
                "T1map_MOLLI_{view}_T1",
                "*tfi2d1_35",
                ("DERIVED", "PRIMARY", "T1 MAP", "MOCO", *_NORM),
            ),
        },
        counts_images=False,
    ),
    Vendor.GE: Style(
        manufacturer="GE MEDICAL SYSTEMS",
        models={1.5: "SIGNA Artist", 3.0: "SIGNA Premier"},
        words={
            LOCALIZER: Words("3-PL LOC", "2DFIESTA", _ORIGINAL),
            Contrast.CINE: Words("{view} FIESTA", "2DFIESTA", _ORIGINAL),
            Contrast.LATE_ENHANCEMENT: Words("{view} MDE", "2DFGRE", _ORIGINAL),
            Contrast.PHASE_SENSITIVE: Words("{view} PSMDE", "2DFGRE", _DERIVED),
            Contrast.T2: Words("{view} T2 DBL IR FSE FS", "FSE-XL", _ORIGINAL),
            Contrast.T1_MAP: Words("{view} T1 MAP", "2DFIESTA", ("DERIVED", "SECONDARY", "T1 MAP")),
        },
        protocol_name="CARDIAC",
        upper_case=True,
        nameless=("cine_sax",),
    ),
    Vendor.PHILIPS: Style(
        manufacturer="Philips",
        models={1.5: "Ingenia Ambition X", 3.0: "Ingenia Elition X"},
        words={
            LOCALIZER: Words("Survey", "BFFE", _ORIGINAL),
            Contrast.CINE: Words("Cine_BTFE_{view}", "BTFE", _ORIGINAL),
            Contrast.LATE_ENHANCEMENT: Words("LGE_TFE_{view}", "TFE", _ORIGINAL),
            Contrast.PHASE_SENSITIVE: Words("PSIR_TFE_{view}", "TFE", (*_DERIVED, "PSIR")),
            Contrast.T2: Words("T2W_BB_SPIR_{view}", "TSE", _ORIGINAL),
            Contrast.T1_MAP: Words(
                "T1map_MOLLI_{view}", "BTFE", ("DERIVED", "SECONDARY", "T1 MAP")
            ),
        },
        upper_case=True,
        counts_images=False,
        multi_frame=True,
    ),
}
