"""What is measured, by name and unit."""

from __future__ import annotations

from enum import StrEnum


class Quantity(StrEnum):
    """A number of the report.  An index is per square metre of body surface."""

    LV_EDV = "lv_edv"
    LV_ESV = "lv_esv"
    LV_SV = "lv_sv"
    LV_EF = "lv_ef"
    LV_MASS = "lv_mass"  #: at end-diastole, without papillary muscles
    CARDIAC_OUTPUT = "cardiac_output"  #: of the left ventricle
    RV_EDV = "rv_edv"
    RV_ESV = "rv_esv"
    RV_SV = "rv_sv"
    RV_EF = "rv_ef"
    BODY_SURFACE = "body_surface"
    LV_EDV_INDEX = "lv_edv_index"
    LV_ESV_INDEX = "lv_esv_index"
    LV_SV_INDEX = "lv_sv_index"
    LV_MASS_INDEX = "lv_mass_index"
    CARDIAC_INDEX = "cardiac_index"
    RV_EDV_INDEX = "rv_edv_index"
    RV_ESV_INDEX = "rv_esv_index"
    RV_SV_INDEX = "rv_sv_index"

    @property
    def unit(self) -> str:
        """UCUM."""
        return _UNITS[self]

    @property
    def words(self) -> str:
        """For people: "LV end-diastolic volume"."""
        return _WORDS[self]


Q = Quantity
INDEXED = {
    Q.LV_EDV: Q.LV_EDV_INDEX,
    Q.LV_ESV: Q.LV_ESV_INDEX,
    Q.LV_SV: Q.LV_SV_INDEX,
    Q.LV_MASS: Q.LV_MASS_INDEX,
    Q.CARDIAC_OUTPUT: Q.CARDIAC_INDEX,
    Q.RV_EDV: Q.RV_EDV_INDEX,
    Q.RV_ESV: Q.RV_ESV_INDEX,
    Q.RV_SV: Q.RV_SV_INDEX,
}
"""What is also given per body surface."""
LEFT = (Q.LV_EDV, Q.LV_ESV, Q.LV_SV, Q.LV_EF, Q.LV_MASS, Q.CARDIAC_OUTPUT)
RIGHT = (Q.RV_EDV, Q.RV_ESV, Q.RV_SV, Q.RV_EF)

_WORDS = {
    Q.LV_EDV: "LV end-diastolic volume",
    Q.LV_ESV: "LV end-systolic volume",
    Q.LV_SV: "LV stroke volume",
    Q.LV_EF: "LV ejection fraction",
    Q.LV_MASS: "LV mass",
    Q.CARDIAC_OUTPUT: "Cardiac output",
    Q.RV_EDV: "RV end-diastolic volume",
    Q.RV_ESV: "RV end-systolic volume",
    Q.RV_SV: "RV stroke volume",
    Q.RV_EF: "RV ejection fraction",
    Q.BODY_SURFACE: "Body surface area",
    Q.CARDIAC_INDEX: "Cardiac index",
}
_WORDS |= {
    index: f"{_WORDS[plain]} index" for plain, index in INDEXED.items() if index not in _WORDS
}
_UNITS = dict.fromkeys(Q, "ml") | {
    Q.LV_EF: "%",
    Q.RV_EF: "%",
    Q.LV_MASS: "g",
    Q.CARDIAC_OUTPUT: "l/min",
    Q.BODY_SURFACE: "m2",
}
_UNITS |= {index: f"{_UNITS[plain]}/m2" for plain, index in INDEXED.items()}
_UNITS[Q.CARDIAC_INDEX] = "l/min/m2"
