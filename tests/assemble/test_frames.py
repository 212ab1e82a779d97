from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from cmr_node.assemble.frames import enhanced_frames, frames_from
from cmr_node.errors import InconsistentInstance
from tests.assemble.headers import ENHANCED_MR_IMAGE, header

COSINES = [1, 0, 0, 0, 1, 0]


def group(name: str, **attributes: Any) -> tuple[str, Items]:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return name, Items([item])


def groups(*found: tuple[str, Items]) -> Dataset:
    item = Dataset()
    for name, value in found:
        setattr(item, name, value)
    return item


def enhanced(shared: Dataset, *frames: Dataset, **attributes: Any) -> Dataset:
    ds = Dataset()
    ds.NumberOfFrames = len(frames)
    ds.SharedFunctionalGroupsSequence = Items([shared])
    ds.PerFrameFunctionalGroupsSequence = Items(frames)
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def frame_at(z: float, delay: float) -> Dataset:
    return groups(
        group("PlanePositionSequence", ImagePositionPatient=[1, 2, z]),
        group("CardiacSynchronizationSequence", NominalCardiacTriggerDelayTime=delay),
        group("FrameContentSequence", TemporalPositionIndex=int(delay // 30) + 1),
    )


SHARED_GROUPS = groups(
    group("PlaneOrientationSequence", ImageOrientationPatient=COSINES),
    group("PixelMeasuresSequence", PixelSpacing=["1.25", "1.5"], SliceThickness="8"),
    group("MREchoSequence", EffectiveEchoTime=1.4),
    group("MRTimingAndRelatedParametersSequence", RepetitionTime="3.2", FlipAngle="60"),
    group("MRImageFrameTypeSequence", FrameType=["ORIGINAL", "PRIMARY", "CARDIAC", "NONE"]),
)
RECEIVED = header(
    sop_class_uid=ENHANCED_MR_IMAGE,
    NumberOfFrames=2,
    ImagePositionPatient=None,
    ImageOrientationPatient=None,
    PixelSpacing=None,
    TriggerTime=None,
)


def test_a_frame_reads_like_a_single_image() -> None:
    ds = enhanced(SHARED_GROUPS, frame_at(10, 0), frame_at(10, 30.5))
    first, second = enhanced_frames(RECEIVED, ds)
    assert (first.index, second.index) == (0, 1)
    assert first.instance is second.instance is RECEIVED
    assert second.header.sop_instance_uid == RECEIVED.sop_instance_uid
    assert second.header.numbers("ImageOrientationPatient") == (1, 0, 0, 0, 1, 0)
    assert second.header.numbers("ImagePositionPatient") == (1, 2, 10)
    assert second.header.numbers("PixelSpacing") == (1.25, 1.5)
    assert second.header.number("TriggerTime") == 30.5
    assert second.header.number("TemporalPositionIdentifier") == 2
    assert second.header.number("EchoTime") == 1.4
    assert second.header.number("FlipAngle") == 60
    assert second.header.text("ImageType") == "ORIGINAL\\PRIMARY\\CARDIAC\\NONE"
    assert second.header.number("InstanceNumber") == 2
    assert second.header.number("NumberOfFrames") is None
    assert second.header.text("SeriesDescription") == "cine sax"


def test_what_a_frame_says_outweighs_what_all_share() -> None:
    own = frame_at(10, 0)
    own.PlaneOrientationSequence = Items([Dataset()])
    own.PlaneOrientationSequence[0].ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    plain, turned = enhanced_frames(RECEIVED, enhanced(SHARED_GROUPS, frame_at(0, 0), own))
    assert plain.header.numbers("ImageOrientationPatient") == (1, 0, 0, 0, 1, 0)
    assert turned.header.numbers("ImageOrientationPatient") == (0, 1, 0, 0, 0, -1)


@pytest.mark.parametrize(
    ("attributes", "keyword", "value"),
    [
        ({"EchoPulseSequence": "GRADIENT"}, "ScanningSequence", "GR"),
        ({"EchoPulseSequence": "BOTH"}, "ScanningSequence", "GR\\SE"),
        ({"SteadyStatePulseSequence": "FREE_PRECESSION"}, "SequenceVariant", "SS"),
        ({"CardiacSynchronizationTechnique": "RETROSPECTIVE"}, "ScanOptions", "CG"),
    ],
)
def test_the_pulse_sequence_is_told_in_the_words_of_the_single_image(
    attributes: dict[str, str], keyword: str, value: str
) -> None:
    received = header(ScanningSequence=None, SequenceVariant=None, ScanOptions=None)
    (frame,) = enhanced_frames(received, enhanced(SHARED_GROUPS, frame_at(0, 0), **attributes))
    assert frame.header.text(keyword) == value
    (silent,) = enhanced_frames(received, enhanced(SHARED_GROUPS, frame_at(0, 0)))
    assert silent.header.text(keyword) == ""


def test_an_inversion_pulse_is_told_wherever_it_is_noted() -> None:
    modifier = group("MRModifierSequence", InversionRecovery="YES", InversionTimes=[280.0])
    for ds in (
        enhanced(groups(modifier), frame_at(0, 0), EchoPulseSequence="GRADIENT"),
        enhanced(groups(), groups(modifier), EchoPulseSequence="GRADIENT"),
    ):
        (frame,) = enhanced_frames(RECEIVED, ds)
        assert frame.header.text("ScanningSequence") == "GR\\IR"
        assert frame.header.number("InversionTime") == 280


@pytest.mark.parametrize("items", [0, 1, 3])
def test_a_multi_frame_object_without_one_item_per_frame_is_refused(items: int) -> None:
    ds = enhanced(SHARED_GROUPS, *[frame_at(0, 0)] * items, NumberOfFrames=2)
    with pytest.raises(InconsistentInstance, match=f"2 frames and {items} items"):
        enhanced_frames(RECEIVED, ds)


def test_empty_groups_and_odd_values_are_passed_over() -> None:
    odd = groups(group("PlanePositionSequence"), ("PixelMeasuresSequence", Items([])))
    odd.RescaleSlope = "1"
    odd.MREchoSequence = Items([Dataset()])
    odd.MREchoSequence[0].EffectiveEchoTime = None
    (frame,) = enhanced_frames(RECEIVED, enhanced(groups(), odd))
    assert frame.header.numbers("ImagePositionPatient") == ()
    assert frame.header.number("EchoTime") == RECEIVED.number("EchoTime")


def test_the_file_of_a_single_image_is_not_opened() -> None:
    def fail(one: object) -> Dataset:
        raise AssertionError(one)

    (frame,) = frames_from(fail)(header())
    assert (frame.instance, frame.index, frame.header) == (header(), 0, header())
