"""Simulated cardiac MR studies with known truth.

The promise kept here: one implicit function per patient answers which tissue is at a place (LPS,
mm) in a phase of the beat; images, label maps, volumes and headers all come from that function.

    body/       the patient: anatomy.Patient = heart (left_ventricle with scar, right_ventricle,
                atria, motion; groups draw four diseases) + thorax (chest_wall, abdomen);
                fields and tissues are what all are made of, measures is their truth
    scanner/    planes (where technologists put them), sample (which tissue a pixel meets),
                signals and molli (how bright), acquire (coils, noise, artefacts), render (the
                three joined), scan (stacks for whoever writes files); source and contrast supply
                training with arrays
    dicom/      headers as three vendors write them: parameters, vendors, headers, enhanced
    plan        what is scanned of whom -> schedule (series, faults) -> study (DICOM instances)
    truth       what is true of a study, as JSON; maps as NIfTI
    case        a study, its late series and its truth on disk; sheet shows many of them
"""
