"""Simulated cardiac MR studies with known truth.

The promise kept here: one implicit function per patient answers which tissue is at a place (LPS,
mm) in a phase of the beat; images, label maps, volumes and headers all come from that function.

    patient     anatomy.Patient: chest, heart, rhythm, warp and texture, drawn from a seed
    heart       groups (four diseases) -> heart = left_ventricle (scar) + right_ventricle + atria;
                motion says when it contracts
    chest       thorax (lungs, mediastinum, great vessels) = chest_wall + abdomen
    parts       fields (random fields, shapes by distance), tissues (labels, relaxation)
    planes      where technologists put them: short axis, 2CH, 3CH, 4CH, scouts
    images      sample looks tissue up, signals and molli make it bright, acquire is the scanner,
                render joins the three for each sequence
    scan        stacks of slices, pixels and planes, for whoever writes files
    files       plan -> schedule (series, faults) -> study; headers, parameters, vendors,
                functional_groups and enhanced say it in DICOM; case puts a study on disk
    truth       measures: volumes, function, mass, scar by segment; truth and maps write them
    look        sheet draws the contact sheet
    training    source gives arrays, contrast draws what they look like
"""
