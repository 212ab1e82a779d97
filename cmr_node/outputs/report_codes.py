"""The codes of a measurement report: what is measured, where, in which unit.

LOINC and SNOMED CT as PS3.16 uses them (CID 3833, 3835, 12200, 12203, 12204, 12307, 3663); what
it has no code for, the indices of volumes and mass, is of the node's own scheme.
"""

from __future__ import annotations

from pydicom.sr.coding import Code

from cmr_node.measures.masks import Structure
from cmr_node.measures.quantities import Quantity
from cmr_node.outputs.codes import SCHEME
from cmr_node.outputs.report_facts import Moment

Q = Quantity
LEFT_VENTRICLE = Code("87878005", "SCT", "Left ventricle")
RIGHT_VENTRICLE = Code("53085002", "SCT", "Right ventricle")
MYOCARDIUM = Code("49848007", "SCT", "Left Ventricle Myocardium")
ANATOMY = Code("91723000", "SCT", "Anatomical Structure")
PROCEDURE = Code("25056-3", "LN", "MRI unspecified body region")
"""CID 100 has no cardiac MR, and a validator takes no other code there."""
IMAGE_QUALITY = Code("111101", "DCM", "Image Quality")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
CYCLE_PHASE = Code("272518008", "SCT", "Cardiac cycle phase")
MOSTELLER = Code("122244", "DCM", "BSA = (HT*WT/36)^0.5")
QUALITATIVE = Code("C0034375", "UMLS", "Qualitative Evaluations")

MOMENTS = {
    Moment.END_DIASTOLE: Code("416190007", "SCT", "End diastole"),
    Moment.END_SYSTOLE: Code("416430001", "SCT", "End Systole"),
}
STRUCTURES = {
    Structure.LV_BLOOD: LEFT_VENTRICLE,
    Structure.LV_MYOCARDIUM: MYOCARDIUM,
    Structure.RV_BLOOD: RIGHT_VENTRICLE,
}
NAMES = {
    Q.LV_EDV: Code("8821-1", "LN", "Left Ventricular ED Volume"),
    Q.LV_ESV: Code("8823-7", "LN", "Left Ventricular ES Volume"),
    Q.LV_SV: Code("90096001", "SCT", "Stroke Volume"),
    Q.LV_EF: Code("8811-2", "LN", "Left ventricular ejection fraction by MR"),
    Q.LV_MASS: Code("18087-7", "LN", "Left Ventricle Mass"),
    Q.CARDIAC_OUTPUT: Code("82799009", "SCT", "Cardiac Output"),
    Q.RV_EDV: Code("8822-9", "LN", "Right Ventricular ED Volume"),
    Q.RV_ESV: Code("8824-5", "LN", "Right Ventricular ES Volume"),
    Q.RV_SV: Code("429483009", "SCT", "RV Stroke Volume"),
    Q.RV_EF: Code("8818-7", "LN", "Right ventricular ejection fraction by MR"),
    Q.BODY_SURFACE: Code("8277-6", "LN", "Body Surface Area"),
    Q.CARDIAC_INDEX: Code("54993008", "SCT", "Cardiac Index"),
}
NAMES |= {name: Code(name.name, SCHEME, name.words) for name in Quantity if name not in NAMES}
UNITS = {
    unit: Code(unit, "UCUM", meaning)
    for unit, meaning in (
        ("ml", "milliliter"),
        ("%", "percent"),
        ("g", "gram"),
        ("l/min", "liter per minute"),
        ("m2", "square meter"),
        ("ml/m2", "milliliter per square meter"),
        ("g/m2", "gram per square meter"),
        ("l/min/m2", "liter per minute per square meter"),
        ("deg", "degree"),
    )
}
OF_SEGMENT = {
    (Structure.LV_BLOOD, Moment.END_DIASTOLE): Q.LV_EDV,
    (Structure.LV_BLOOD, Moment.END_SYSTOLE): Q.LV_ESV,
    (Structure.LV_MYOCARDIUM, Moment.END_DIASTOLE): Q.LV_MASS,
    (Structure.RV_BLOOD, Moment.END_DIASTOLE): Q.RV_EDV,
    (Structure.RV_BLOOD, Moment.END_SYSTOLE): Q.RV_ESV,
}
"""What is measured on one segment; every other number needs several."""


def own(value: str, meaning: str) -> Code:
    """A concept of the node's own scheme."""
    return Code(value, SCHEME, meaning)


ORIENTATION_NETWORK = own("ORIENT_N", "In-plane orientation, as the pixels show")
ORIENTATION_HEADER = own("ORIENT_H", "In-plane orientation, as the header implies")
ORIENTATION_DECISION = own("ORIENT_DECISION", "What was done about the orientation")
ORIENTATION_MARGIN = own("ORIENT_MARGIN", "Angle from the header to the next orientation")
ORIENTATION_REASON = own("ORIENT_REASON", "Reason of the decision on the orientation")
CONVENTION = own("CONVENTION", "Measurement convention")
EXCLUSION = own("EXCLUSION", "Correction or exclusion of outlines")
FLAG = own("FLAG", "Quality flag")
WITHHELD = own("WITHHELD", "Number withheld")
