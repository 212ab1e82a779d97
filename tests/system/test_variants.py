"""What else a hospital sends and runs: other objects, encodings and sizes, another database."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import generate_frames
from pydicom.uid import (
    UID,
    CTImageStorage,
    EncapsulatedPDFStorage,
    EnhancedMRImageStorage,
    EnhancedSRStorage,
    ExplicitVRLittleEndian,
    JPEGLosslessSV1,
    JPEGLSLossless,
    MRImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from cmr_node.assemble.stack import MR_IMAGES
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.plane import Plane
from cmr_node.geometry.standard_view import View, implied_orientation
from cmr_node.peer import Wanted
from cmr_node.phantom.study import Plan, simulate_study
from cmr_node.settings import Peer
from tests.fault_scp import FaultScp, fault_scp
from tests.peers import (
    ENVIRONMENT,
    LOOPBACK,
    Cluster,
    Orthanc,
    dcmtk,
    orthanc,
    postgres_cluster,
    wait_until,
)
from tests.samples import mr
from tests.system.following import Followed, followed_node, message, send_raw
from tests.system.node import node_settings

pytestmark = pytest.mark.system

PLAN = Plan(
    seed=0,  # each study has a patient of its own
    views=(View.SAX,),
    slices=2,
    phases=2,
    rows=60,
    columns=72,
    pixel_spacing=4.0,
    stored_as={View.SAX: Orientation.ROT90CW},
)
TURNED = PLAN.slices * PLAN.phases
SEEDS = itertools.count(200)
QUIET = {"quiet_period": 2, "stall_period": 2}
ARCHIVED = (
    MRImageStorage,
    EnhancedMRImageStorage,
    SecondaryCaptureImageStorage,
    CTImageStorage,
    EnhancedSRStorage,
    EncapsulatedPDFStorage,
)
SYNTAXES = (ExplicitVRLittleEndian, JPEGLSLossless, RLELossless, JPEGLosslessSV1)


@dataclass(frozen=True)
class Hospital:
    """A node between a PACS that wants the derived images and an archive that wants all."""

    node: Followed
    pacs: Orthanc
    archive: FaultScp

    @property
    def port(self) -> int:
        return self.node.node.port

    def derived(self, study_uid: str) -> list[FileDataset]:
        """The MR images that the PACS holds of one study."""
        found = [dcmread(BytesIO(self.pacs.file(one))) for one in self.pacs.instances()]
        return [
            ds for ds in found if study_uid == ds.StudyInstanceUID and ds.SOPClassUID in MR_IMAGES
        ]


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("node")
    takes = [(str(sop_class), [str(one)]) for sop_class in ARCHIVED for one in SYNTAXES]
    with orthanc() as pacs, fault_scp(contexts=takes, ae_title="ARCHIVE") as archive:
        peers = receiving("pacs", pacs, "derived"), receiving("archive", archive, "original")
        with followed_node(folder, node_settings(folder, *peers, assemble=QUIET)) as node:
            yield Hospital(node, pacs, archive)


def receiving(name: str, peer: Orthanc | FaultScp, *wanted: Wanted) -> Peer:
    return Peer(name=name, ae_title=peer.ae_title, host=LOOPBACK, port=peer.port, receives=wanted)


def study(**changes: Any) -> list[FileDataset]:
    """A study of a new patient."""
    return list(simulate_study(replace(PLAN, seed=next(SEEDS), **changes)))


def uid_of(images: list[FileDataset]) -> str:
    return str(images[0].StudyInstanceUID)


def is_standard(plane: Plane) -> bool:
    found = implied_orientation(plane, View.SAX)
    return found is not None and found.orientation is Orientation.IDENTITY


def plane_of(ds: Dataset) -> Plane:
    return Plane.from_dicom(
        ds.ImageOrientationPatient, ds.ImagePositionPatient, ds.PixelSpacing, ds.Rows, ds.Columns
    )


def came_back_turned(derived: list[FileDataset], sources: list[FileDataset]) -> None:
    """Each source has one derived image: uncompressed, standard, the same values."""
    by_source = {ds.SourceImageSequence[0].ReferencedSOPInstanceUID: ds for ds in derived}
    assert len(derived) == len(by_source) == len(sources)
    for source in sources:
        ours = by_source[source.SOPInstanceUID]
        assert ours.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert is_standard(plane_of(ours))
        np.testing.assert_array_equal(ours.pixel_array, np.rot90(source.pixel_array, 1))


# Other objects in the study


def beside(images: list[FileDataset], sop_class: UID, **attributes: Any) -> FileDataset:
    """An object of another kind in the study of ``images``; None takes an attribute away."""
    ds = mr(
        study=uid_of(images),
        series=f"beside {sop_class} {sorted(attributes)}",
        SOPClassUID=sop_class,
        StudyInstanceUID=uid_of(images),
        FrameOfReferenceUID=images[0].FrameOfReferenceUID,
        **attributes,
    )
    ds.file_meta.MediaStorageSOPClassUID = sop_class
    return ds


def colour(images: list[FileDataset], sop_class: UID) -> FileDataset:
    return beside(
        images,
        sop_class,
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelData=bytes(range(256)) * 9,
    )


def text_report(images: list[FileDataset]) -> FileDataset:
    content = Dataset()
    content.RelationshipType, content.ValueType, content.TextValue = "CONTAINS", "TEXT", "fine"
    return beside(
        images,
        EnhancedSRStorage,
        Modality="SR",
        PixelData=None,
        Rows=None,
        Columns=None,
        ValueType="CONTAINER",
        ContinuityOfContent="SEPARATE",
        ContentSequence=[content],
    )


def pdf(images: list[FileDataset]) -> FileDataset:
    return beside(
        images,
        EncapsulatedPDFStorage,
        Modality="DOC",
        PixelData=None,
        Rows=None,
        Columns=None,
        EncapsulatedDocument=b"%PDF-1.4\n%%EOF\n",
        MIMETypeOfEncapsulatedDocument="application/pdf",
    )


def test_other_objects_are_kept_left_alone_and_delivered_as_they_came(hospital: Hospital) -> None:
    images = study()
    others = {
        "colour": [colour(images, MRImageStorage)],
        "mosaic": [
            beside(images, MRImageStorage, ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"])
        ],
        "not_mr_image": [
            colour(images, SecondaryCaptureImageStorage),
            beside(images, CTImageStorage, Modality="CT"),
            text_report(images),
            pdf(images),
        ],
    }
    sent = [message(ds) for ds in (*images, *itertools.chain(*others.values()))]
    assert set(send_raw(hospital.port, sent)) == {0}
    found = hospital.node.finish(uid_of(images))
    decisions = {stack["evidence"]["kind"]: stack for stack in found["stacks"][1:]}
    assert found["stacks"][0]["decision"] == "act"
    assert {kind: stack["decision"] for kind, stack in decisions.items()} == dict.fromkeys(
        others, "leave"
    )
    assert {kind: stack["slices"] for kind, stack in decisions.items()} == {
        kind: len(objects) for kind, objects in others.items()
    }
    assert all(kept == body for kept, body in stored_and_sent(hospital.node, sent))
    archived = dict(hospital.archive.came)
    assert {one: archived.get(one) for _, _, one, _ in sent} == {
        one: body for _, _, one, body in sent
    }
    came_back_turned(hospital.derived(uid_of(images)), images)


def stored_and_sent(
    node: Followed, sent: list[tuple[str, str, str, bytes]]
) -> list[tuple[bytes, bytes]]:
    return [(node.stored(one), body) for _, _, one, body in sent]


def test_a_study_of_other_objects_alone_is_done(hospital: Hospital) -> None:
    sent = [message(pdf(study()[:1]))]
    study_uid = study_of(sent[0][3])
    assert send_raw(hospital.port, sent) == [0]
    (record,) = hospital.node.finish(study_uid)["stacks"]
    assert record["decision"] == "leave"
    assert not hospital.derived(study_uid)


def study_of(body: bytes) -> str:
    return str(dcmread(BytesIO(body), force=True).StudyInstanceUID)


def test_a_study_of_one_image_comes_back(hospital: Hospital) -> None:
    images = study(slices=1, phases=1)
    assert len(images) == 1
    assert send_raw(hospital.port, [message(images[0])]) == [0]
    (stack,) = hospital.node.finish(uid_of(images))["stacks"]
    assert (stack["decision"], stack["slices"], stack["phases"]) == ("act", 1, 1)
    came_back_turned(hospital.derived(uid_of(images)), images)


# Other encodings


def test_an_enhanced_study_comes_back_turned_and_enhanced(hospital: Hospital) -> None:
    (source,) = images = study(multi_frame=True)
    assert source.SOPClassUID == EnhancedMRImageStorage
    assert send_raw(hospital.port, [message(source)]) == [0]
    (stack,) = hospital.node.finish(uid_of(images))["stacks"]
    assert (stack["decision"], stack["slices"], stack["phases"]) == ("act", 2, 2)
    (ours,) = hospital.derived(uid_of(images))
    assert ours.SOPClassUID == EnhancedMRImageStorage
    assert ours.SOPInstanceUID != source.SOPInstanceUID
    np.testing.assert_array_equal(ours.pixel_array, np.rot90(source.pixel_array, 1, axes=(1, 2)))
    for item in ours.PerFrameFunctionalGroupsSequence:
        groups = [item, ours.SharedFunctionalGroupsSequence[0]]
        values = [
            next(group[name][0] for group in groups if name in group)
            for name in (
                "PlaneOrientationSequence",
                "PlanePositionSequence",
                "PixelMeasuresSequence",
            )
        ]
        plane = Plane.from_dicom(
            values[0].ImageOrientationPatient,
            values[1].ImagePositionPatient,
            values[2].PixelSpacing,
            ours.Rows,
            ours.Columns,
        )
        assert is_standard(plane)


@pytest.mark.parametrize(
    ("program", "option", "syntax"),
    [
        ("dcmcjpls", "-xt", JPEGLSLossless),
        ("dcmcrle", "-xr", RLELossless),
        ("dcmcjpeg", "-xs", JPEGLosslessSV1),
    ],
)
def test_a_compressed_study_is_kept_compressed_and_comes_back_with_the_same_values(
    hospital: Hospital, tmp_path: Path, program: str, option: str, syntax: UID
) -> None:
    images = study()
    packed = []
    for number, ds in enumerate(images):
        plain, small = tmp_path / f"{number}.plain", tmp_path / f"{number}.dcm"
        ds.save_as(plain, enforce_file_format=True)
        subprocess.run([dcmtk(program), str(plain), str(small)], check=True)
        packed.append(small)
    command = [dcmtk("storescu"), option, "-aec", "CMRNODE", LOOPBACK, str(hospital.port)]
    subprocess.run([*command, *map(str, packed)], check=True, env=ENVIRONMENT)
    found = hospital.node.finish(uid_of(images))
    assert [stack["decision"] for stack in found["stacks"]] == ["act"]
    came_back_turned(hospital.derived(uid_of(images)), images)
    archived = dict(hospital.archive.came)
    for path in packed:
        sent = dcmread(path)
        assert sent.file_meta.TransferSyntaxUID == syntax
        (frame,) = generate_frames(sent.PixelData, number_of_frames=1)
        stored = hospital.node.stored(str(sent.SOPInstanceUID))
        assert stored.count(frame) == 1
        assert archived[str(sent.SOPInstanceUID)] == stored


# Another database, more than one worker


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with postgres_cluster() as found:
        yield found


def test_two_workers_on_postgresql_finish_all_also_when_the_database_was_away(
    hospital: Hospital, cluster: Cluster, tmp_path: Path
) -> None:
    peer = receiving("pacs", hospital.pacs, "derived")
    settings = node_settings(
        tmp_path,
        peer,
        storage={"database": cluster.url},
        work={"slots": 2},
        assemble=QUIET,
    )
    with ExitStack() as database:
        database.enter_context(cluster.served())
        with followed_node(tmp_path, settings) as node:
            wait_until(lambda: len(node.node.processes()["work"]) == 3, "two slots and a parent")
            before = [study() for _ in range(3)]
            for images in before:
                assert set(send_raw(node.node.port, map(message, images))) == {0}
            for images in before:
                node.finish(uid_of(images))
                came_back_turned(hospital.derived(uid_of(images)), images)

            database.close()
            images = study()
            sent = [message(ds) for ds in images]
            assert set(send_raw(node.node.port, sent)) == {0}  # the journal has them
            wait_until(lambda: "wait in the journal" in node.said(), "filing waits")
            database.enter_context(cluster.served())
            node.finish(uid_of(images))
            came_back_turned(hospital.derived(uid_of(images)), images)
            assert all(kept == body for kept, body in stored_and_sent(node, sent))
