"""What is made of a stack beside derived images, from the study to what the PACS is to have.

The pixels of these studies are their own truth: each structure has a grey value of its own, blood
brighter than muscle, so that a network that reads them draws the truth, however they are stored.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import RLELossless

from cmr_node.dicom.reading import read
from cmr_node.errors import BadInference, InferenceFailed
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import View
from cmr_node.inference.predict import Drawn, Look
from cmr_node.inference.recognition import Image, NetworkEvidence
from cmr_node.judgement import Trusting
from cmr_node.measures.masks import Structure
from cmr_node.outputs.algorithm import Algorithm
from cmr_node.phantom.study import Plan, simulate_study
from cmr_node.results.artist import Artist
from cmr_node.settings import Results
from cmr_node.store.overview import StudyOverview
from tests.outputs.report_reading import texts_of
from tests.test_pipeline import NOON, Bench, stack_of

ALGORITHM = Algorithm("reads-pixels", "1.0.0", "ab" * 32)
SLICES, PHASES, SHAPE, SPACING = 8, 4, (60, 72), 3.0
RADII = (26.0, 20.0, 15.0, 22.0)  #: mm, of the cavity at each phase
OBJECTS = {"segmentation, end-diastole", "segmentation, end-systole", "report", "page"}


class ReadsPixels:
    """A network whose answer is in the pixels."""

    def __init__(self, stored_as: Orientation, doubt: str = "", fails: int = 0) -> None:
        self.stored_as, self.doubt, self.fails = stored_as, doubt, fails
        self.careful = 0
        self.error: Exception = BadInference("numbers that are none")

    def recognise(
        self, images: Sequence[Image], pixel_spacing: tuple[float, float]
    ) -> NetworkEvidence:
        odds = {o: 0.993 if o is self.stored_as else 0.001 for o in Orientation}
        return NetworkEvidence(odds, sax=0.99, doubt=self.doubt, slices=len(images))

    def look(self, images: Sequence[Image], pixel_spacing: tuple[float, float]) -> Look:
        return Look(self.recognise(images, pixel_spacing), None)

    def segment(
        self,
        images: Sequence[Image],
        pixel_spacing: tuple[float, float],
        orientation: Orientation,
        centre: tuple[float, float] | None,
        *,
        turns: bool = False,
    ) -> list[Drawn]:
        assert orientation is self.stored_as
        if self.fails:
            raise self.error
        self.careful += turns
        return [Drawn(labels_in(image), 0.9) for image in images]


GREY = np.array([0, 301, 102, 203], np.uint16)  #: of each ``Structure``, its value modulo 4


def labels_in(pixels: np.ndarray) -> np.ndarray:
    """The structures that grey values stand for."""
    return (pixels.astype(np.int64) % 4).astype(np.uint8)


def truth(place: int, phase: int) -> np.ndarray:
    """Labels of one picture in the standard view: a left ventricle, and a right one beside it."""
    rows, columns = np.indices(SHAPE)
    y, x = (rows - 29.5) * SPACING, (columns - 38.5) * SPACING
    z = (place - (SLICES - 1) / 2) / (SLICES / 2 + 1)
    labels = np.zeros(SHAPE, np.uint8)
    for structure, middle, radius in (
        (Structure.RV_BLOOD, -58.0, RADII[phase] * 0.8),
        (Structure.LV_MYOCARDIUM, 0.0, RADII[phase] + 10),
        (Structure.LV_BLOOD, 0.0, RADII[phase]),
    ):
        labels[(x - middle) ** 2 + y**2 <= radius**2 * (1 - z**2)] = structure
    return labels


@cache
def _scanned(
    stored_as: Orientation, phases: int, turn_deg: float, multi_frame: bool
) -> tuple[FileDataset, ...]:
    plan = Plan(
        seed=0,
        views=(View.SAX,),
        slices=SLICES,
        phases=phases,
        rows=SHAPE[0],
        columns=SHAPE[1],
        pixel_spacing=SPACING,
        stored_as={View.SAX: stored_as},
        turn_deg=turn_deg,
        multi_frame=multi_frame,
    )
    return tuple(simulate_study(plan))


def study(
    stored_as: Orientation = Orientation.IDENTITY, phases: int = PHASES, turn_deg: float = 0.0
) -> list[FileDataset]:
    images = deepcopy(list(_scanned(stored_as, phases, turn_deg, False)))
    for number, ds in enumerate(images):
        labels = stored_as.apply(truth(*divmod(number, phases)))
        ds.PixelData = GREY[labels].tobytes()
    return images


def multi_frame_study(stored_as: Orientation, *, compressed: bool) -> list[FileDataset]:
    (ds,) = deepcopy(_scanned(stored_as, PHASES, 0.0, True))
    labels = [
        stored_as.apply(truth(place, phase)) for place in range(SLICES) for phase in range(PHASES)
    ]
    ds.PixelData = GREY[np.array(labels)].tobytes()
    if compressed:
        ds.compress(RLELossless, generate_instance_uid=False)
    return [ds]


def bench(
    root: Path, network: ReadsPixels | None, results: Results | None = None, **to_pacs: Any
) -> Bench:
    artist = Artist(network, ALGORITHM) if network else None
    found = Bench(root, artist, results, **to_pacs)
    if network is not None:
        found.worker.trusting = Trusting(recognise=network.recognise, network="ab" * 32)
    return found


def outcome(found: StudyOverview) -> dict[str, Any]:
    evidence = stack_of(found, View.SAX)["evidence"]
    evidence = json.loads(evidence) if isinstance(evidence, str) else evidence
    return dict(evidence.get("results", {}))


def labels_of(seg: FileDataset, sources: Sequence[str]) -> np.ndarray:
    """(images, rows, columns): what is outlined on each."""
    opened = hd.seg.Segmentation.from_dataset(seg)
    planes = opened.get_pixels_by_source_instance(
        sources, combine_segments=True, relabel=False, ignore_spatial_locations=False
    )
    numbers = {item.SegmentLabel: item.SegmentNumber for item in opened.SegmentSequence}
    table = np.zeros(8, np.uint8)
    for label, structure in (
        ("LV blood pool", Structure.LV_BLOOD),
        ("LV myocardium", Structure.LV_MYOCARDIUM),
        ("RV blood pool", Structure.RV_BLOOD),
    ):
        table[numbers[label]] = structure
    return np.asarray(table[planes])


def referenced(ds: FileDataset) -> list[str]:
    return [str(item.ReferencedSOPInstanceUID) for item in ds.SourceImageSequence]


@pytest.mark.parametrize("stored_as", [Orientation.ROT90CW, Orientation.FLIP_LR])
def test_outlines_of_a_turned_stack_lie_on_the_derived_images(
    stored_as: Orientation, tmp_path: Path
) -> None:
    node = bench(tmp_path, ReadsPixels(stored_as))
    images = study(stored_as)
    found = node.standardise(images)
    assert stack_of(found, View.SAX)["decision"] == "act"
    made = outcome(found)
    assert made["not_made"] == {}
    assert set(made["made"]) == OBJECTS
    received = {str(ds.SOPInstanceUID) for ds in images}
    for name, phase in (("segmentation, end-diastole", 0), ("segmentation, end-systole", 2)):
        seg = read(node.files.path_of(made["made"][name]))
        sources = referenced(seg)
        assert len(sources) == SLICES
        assert not set(sources) & received
        drawn = labels_of(seg, sources)
        pictures = [read(node.files.path_of(uid)).pixel_array for uid in sources]
        np.testing.assert_array_equal(drawn, labels_in(np.array(pictures)))
        assert {tuple(one.shape) for one in drawn} == {SHAPE}
        upright = [truth(place, phase) for place in range(SLICES)]
        np.testing.assert_array_equal(drawn, upright)
    node.database.close()


@pytest.mark.parametrize("compressed", [False, True])
def test_frames_of_one_instance_are_drawn_as_images_are(compressed: bool, tmp_path: Path) -> None:
    turn = Orientation.ROT90CW
    network = ReadsPixels(turn)
    node = bench(tmp_path, network)
    found = node.standardise(multi_frame_study(turn, compressed=compressed))
    stack = stack_of(found, View.SAX)
    assert (stack["decision"], stack["slices"], stack["phases"]) == ("act", SLICES, PHASES)
    made = outcome(found)
    assert made["not_made"] == {}
    assert set(made["made"]) == OBJECTS
    seg = read(node.files.path_of(made["made"]["segmentation, end-systole"]))
    (source,) = seg.SourceImageSequence
    frames = [int(number) for number in source.ReferencedFrameNumber]
    assert len(frames) == SLICES
    planes = hd.seg.Segmentation.from_dataset(seg).get_pixels_by_source_frame(
        source.ReferencedSOPInstanceUID, frames, combine_segments=True
    )
    derived = read(node.files.path_of(source.ReferencedSOPInstanceUID)).pixel_array
    shown = labels_in(derived[np.array(frames) - 1])
    np.testing.assert_array_equal(planes > 0, shown > 0)
    node.database.close()


def test_outlines_of_a_stack_that_was_left_lie_on_the_originals(tmp_path: Path) -> None:
    network = ReadsPixels(Orientation.IDENTITY)
    node = bench(tmp_path, network)
    images = study()
    found = node.standardise(images)
    assert stack_of(found, View.SAX)["decision"] == "leave"
    made = outcome(found)["made"]
    received = {str(ds.SOPInstanceUID) for ds in images}
    assert set(referenced(read(node.files.path_of(made["segmentation, end-diastole"])))) <= received
    report = read(node.files.path_of(made["report"]))
    assert report.ContentDate == NOON.strftime("%Y%m%d")
    assert network.careful == 2
    numbers = outcome(found)["numbers"]
    assert numbers["lv_edv"] > numbers["lv_esv"] > 0
    wanted = node.deliveries.pending_items(str(images[0].StudyInstanceUID), "pacs")
    assert set(wanted) == set(made.values()) - {made["page"]}
    node.database.close()


def test_a_second_run_makes_the_same_bytes(tmp_path: Path) -> None:
    runs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        node = bench(tmp_path / name, ReadsPixels(Orientation.ROT180))
        first = outcome(node.standardise(study(Orientation.ROT180)))
        again = outcome(node.standardise(study(Orientation.ROT180)))
        assert first == again
        assert first["not_made"] == {}
        runs.append({uid: node.files.path_of(uid).read_bytes() for uid in first["made"].values()})
        node.database.close()
    assert runs[0] == runs[1]


def test_what_is_asked_gets_key_objects_and_a_report_with_the_reason_and_nothing_else(
    tmp_path: Path,
) -> None:
    network = ReadsPixels(Orientation.FLIP_UD)  # the header says identity
    node = bench(tmp_path, network)
    images = study()
    found = node.standardise(images)
    stack = stack_of(found, View.SAX)
    assert stack["decision"] == "ask"
    made = outcome(found)["made"]
    assert set(made) == {"review", "report"}
    document = read(node.files.path_of(made["review"]))
    assert document.ConceptNameCodeSequence[0].CodeValue == "113010"
    said = [item.TextValue for item in document.ContentSequence if item.ValueType == "TEXT"]
    assert " ".join(stack["reason"].split()) in said
    said = texts_of(read(node.files.path_of(made["report"])))
    assert f"Reason of the decision on the orientation: {stack['reason']}" in said
    assert outcome(found)["numbers"] == {}
    assert network.careful == 0
    uid = str(images[0].StudyInstanceUID)
    assert node.deliveries.pending_items(uid, "pacs") == sorted(made.values())
    node.database.close()


def test_without_a_network_nothing_is_drawn(tmp_path: Path) -> None:
    node = bench(tmp_path, None)
    found = node.standardise(study(Orientation.ROT90CW))
    assert stack_of(found, View.SAX)["decision"] == "act"
    assert outcome(found) == {}
    node.database.close()


def test_without_a_network_a_person_is_asked_in_a_document_too(tmp_path: Path) -> None:
    node = bench(tmp_path, None)
    found = node.standardise(study(turn_deg=43.0))
    assert stack_of(found, View.SAX)["decision"] == "ask"
    assert set(outcome(found)["made"]) == {"review", "report"}
    node.database.close()


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        (Results(segmentation=False), {"report", "page"}),
        (Results(measurements=False), OBJECTS - {"report"}),
        (Results(segmentation=False, measurements=False), set()),
        (
            Results(phases="all"),
            OBJECTS | {"segmentation, phase 2", "segmentation, phase 4"},
        ),
    ],
)
def test_settings_say_what_is_made(results: Results, expected: set[str], tmp_path: Path) -> None:
    node = bench(tmp_path, ReadsPixels(Orientation.IDENTITY), results)
    assert set(outcome(node.standardise(study())).get("made", {})) == expected
    node.database.close()


def test_the_basal_rule_of_the_settings_says_whether_a_slice_without_wall_counts(
    tmp_path: Path,
) -> None:
    volumes = {}
    for rule in ("half", "as_drawn"):
        images = study()
        for ds in images[:PHASES]:  # the slice at the base
            bare = np.frombuffer(ds.PixelData, np.uint16).copy()
            bare[bare == GREY[Structure.LV_MYOCARDIUM]] = GREY[Structure.LV_BLOOD]
            ds.PixelData = bare.tobytes()
        settings = Results(basal_rule=rule)
        node = bench(tmp_path / rule, ReadsPixels(Orientation.IDENTITY), settings)
        volumes[rule] = outcome(node.standardise(images))["numbers"]["lv_edv"]
        node.database.close()
    assert volumes["half"] < 0.95 * volumes["as_drawn"]


def test_numbers_of_muscle_taken_for_blood_are_withheld(tmp_path: Path) -> None:
    images = study()
    for ds in images:
        if int(ds.InstanceNumber) % PHASES == 3:  # end-systole
            dark = np.frombuffer(ds.PixelData, np.uint16).copy()
            dark[dark == GREY[Structure.LV_BLOOD]] = GREY[Structure.LV_MYOCARDIUM] - 1
            ds.PixelData = dark.tobytes()
    drawer = ReadsPixels(Orientation.IDENTITY)
    node = bench(tmp_path, drawer)
    found = outcome(node.standardise(images))
    assert "report" in found["made"]
    assert found["numbers"]["lv_edv"] > 0
    assert not {"lv_esv", "lv_ef"} & found["numbers"].keys()
    node.database.close()


def test_right_ventricles_are_measured_where_somebody_asks_for_it(tmp_path: Path) -> None:
    given = {}
    for wanted in (True, False):
        settings = Results(right_ventricle=wanted)
        node = bench(tmp_path / str(wanted), ReadsPixels(Orientation.IDENTITY), settings)
        given[wanted] = outcome(node.standardise(study()))["numbers"].keys()
        node.database.close()
    assert given[True] - given[False] == {"rv_edv", "rv_esv", "rv_sv", "rv_ef"}
    assert "lv_ef" in given[False]


def test_the_warning_on_the_page_is_the_setting_s(tmp_path: Path) -> None:
    feet = {}
    for warn in (True, False):
        settings = Results(not_for_diagnosis=warn)
        node = bench(tmp_path / str(warn), ReadsPixels(Orientation.IDENTITY), settings)
        uid = outcome(node.standardise(study()))["made"]["page"]
        page = read(node.files.path_of(uid)).pixel_array
        feet[warn] = page[-50:-30, -200].astype(int)  # right of the words, within the band
        node.database.close()
    assert np.ptp(feet[True], axis=0).max() == 0
    assert np.abs(feet[True] - feet[False]).mean() > 50


def test_no_review_where_nobody_wants_one(tmp_path: Path) -> None:
    node = bench(tmp_path, ReadsPixels(Orientation.FLIP_UD), Results(review=False))
    assert outcome(node.standardise(study())) == {}
    node.database.close()


def test_a_destination_gets_the_form_it_is_told_to_get(tmp_path: Path) -> None:
    node = bench(
        tmp_path,
        ReadsPixels(Orientation.IDENTITY),
        segmentation="label_map",
        secondary_capture="never",
    )
    images = study()
    made = outcome(node.standardise(images))["made"]
    maps = {f"segmentation, end-{name}, label map" for name in ("diastole", "systole")}
    assert set(made) == OBJECTS - {"page"} | maps
    wanted = node.deliveries.pending_items(str(images[0].StudyInstanceUID), "pacs")
    assert set(wanted) == {made[name] for name in (*maps, "report")}
    node.database.close()


def test_one_phase_gets_outlines_and_withheld_numbers(tmp_path: Path) -> None:
    node = bench(tmp_path, ReadsPixels(Orientation.IDENTITY))
    found = outcome(node.standardise(study(phases=1)))
    assert set(found["made"]) == {"segmentation, end-diastole", "report"}
    assert "not both known" in found["not_made"]["page"]
    assert not any("ef" in name or "esv" in name for name in found["numbers"])
    node.database.close()


def test_dates_that_are_none_do_no_harm(tmp_path: Path) -> None:
    node = bench(tmp_path, ReadsPixels(Orientation.ROT90CW))
    images = study(Orientation.ROT90CW)
    for ds in images:
        ds["StudyDate"]._value = "00000000"
        ds["PatientBirthDate"]._value = "19501345"
        ds["SeriesDate"]._value = "2020.1.2"
    found = outcome(node.standardise(images))
    assert found["not_made"] == {}
    assert set(found["made"]) == OBJECTS
    node.database.close()


def test_doubt_of_the_network_is_said_and_nothing_is_drawn(tmp_path: Path) -> None:
    node = bench(tmp_path, ReadsPixels(Orientation.IDENTITY, doubt="too dark"))
    found = outcome(node.standardise(study()))
    assert found["made"] == {}
    assert "too dark" in found["not_made"]["outlines"]
    node.database.close()


def test_a_bad_answer_is_noted_and_the_images_are_derived_nevertheless(tmp_path: Path) -> None:
    node = bench(tmp_path, ReadsPixels(Orientation.ROT180, fails=1))
    found = node.standardise(study(Orientation.ROT180))
    assert stack_of(found, View.SAX)["decision"] == "act"
    assert outcome(found)["not_made"] == {"outlines": "numbers that are none"}
    node.database.close()


def test_a_failure_that_may_pass_is_raised(tmp_path: Path) -> None:
    network = ReadsPixels(Orientation.IDENTITY, fails=1)
    network.error = InferenceFailed("no memory")
    node = bench(tmp_path, network)
    with pytest.raises(InferenceFailed):
        node.standardise(study())
    node.database.close()


def test_one_object_that_cannot_be_made_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **options: object) -> None:
        raise ValueError("no such page")

    monkeypatch.setattr("cmr_node.results.objects.result_page", broken)
    node = bench(tmp_path, ReadsPixels(Orientation.IDENTITY))
    found = outcome(node.standardise(study()))
    assert set(found["made"]) == OBJECTS - {"page"}
    assert found["not_made"] == {"page": "no such page"}
    node.database.close()
