"""A study goes in by C-STORE and comes back standardised: real node, real peers."""

from __future__ import annotations

import hashlib
import os
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from cmr_node.assemble.stack import MR_IMAGES
from cmr_node.dicom.reading import read
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.plane import Plane
from cmr_node.geometry.standard_view import View, implied_orientation
from cmr_node.phantom.study import Plan, write_study
from cmr_node.settings import Peer
from cmr_node.store.files import Files
from tests.dciodvfy import new_errors
from tests.peers import LOOPBACK, Orthanc, free_port, need, orthanc, wait_until
from tests.system.node import Node, node_settings, running_node
from tests.system.sending import finished, storescu

pytestmark = pytest.mark.system

SUNNYBROOK = Path(__file__).parents[2].parent / "shared" / "data" / "sunnybrook-cine"
PLAN = Plan(
    seed=0,  # each test has a patient of its own
    views=(View.SAX, View.TWO_CHAMBER),
    slices=3,
    phases=4,
    rows=60,
    columns=72,
    pixel_spacing=4.0,
    stored_as={View.SAX: Orientation.ROT90CW, View.TWO_CHAMBER: Orientation.FLIP_LR},
)
FINISH_S = 60.0


@pytest.fixture(scope="module")
def pacs() -> Iterator[Orthanc]:
    with orthanc() as found:
        yield found


@pytest.fixture
def node(tmp_path: Path, pacs: Orthanc) -> Iterator[Node]:
    with running_node(tmp_path, node_settings(tmp_path, destination(pacs))) as found:
        yield found


def destination(pacs: Orthanc, name: str = "pacs") -> Peer:
    return Peer(
        name=name, ae_title=pacs.ae_title, host=LOOPBACK, port=pacs.port, receives=("derived",)
    )


def images_of(pacs: Orthanc, study_uid: str) -> list[Dataset]:
    """The MR images that the PACS holds of one study."""
    found = [dcmread(BytesIO(pacs.file(instance))) for instance in pacs.instances()]
    return [ds for ds in found if ds.StudyInstanceUID == study_uid and ds.SOPClassUID in MR_IMAGES]


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (folder / "instances").rglob("*.dcm")
    }


def plane_of(ds: Dataset) -> Plane:
    return Plane.from_dicom(
        ds.ImageOrientationPatient, ds.ImagePositionPatient, ds.PixelSpacing, ds.Rows, ds.Columns
    )


def new_errors_in(derived: Dataset, source: Dataset, folder: Path) -> set[str]:
    """What dciodvfy finds wrong with the derived object and not with its source."""
    need("dciodvfy")
    paths = folder / "derived.dcm", folder / "source.dcm"
    for ds, path in zip((derived, source), paths, strict=True):
        ds.save_as(path)
    return new_errors(*paths)


def test_a_turned_short_axis_comes_back_standard_and_the_long_axis_is_left(
    node: Node, pacs: Orthanc, tmp_path: Path
) -> None:
    truth = write_study(tmp_path / "study", replace(PLAN, seed=1))
    sources = [read(path) for path in sorted((tmp_path / "study").rglob("*.dcm"))]
    uid = str(sources[0].StudyInstanceUID)
    storescu(node.port, tmp_path / "study")
    wait_until(lambda: finished(node, uid), "the study is done and delivered", FINISH_S)

    short_axis = {series for series, fact in truth.items() if fact["view"] == "sax"}
    turned = [ds for ds in sources if ds.SeriesInstanceUID in short_axis]
    derived = images_of(pacs, uid)
    assert len(derived) == len(turned) == PLAN.slices * PLAN.phases
    by_source = {ds.SourceImageSequence[0].ReferencedSOPInstanceUID: ds for ds in derived}
    for source in turned:
        ours = by_source[source.SOPInstanceUID]
        evidence = implied_orientation(plane_of(ours), View.SAX)
        assert evidence is not None
        assert evidence.orientation is Orientation.IDENTITY
        np.testing.assert_array_equal(ours.pixel_array, np.rot90(source.pixel_array, 1))
    one = turned[0]
    assert not new_errors_in(by_source[one.SOPInstanceUID], one, tmp_path)
    decisions = {stack["view"]: stack["decision"] for stack in node.studies()[uid]["stacks"]}
    assert decisions == {"sax": "act", "2ch": "leave"}


def test_the_same_study_again_changes_nothing_anywhere(
    node: Node, pacs: Orthanc, tmp_path: Path
) -> None:
    write_study(tmp_path / "study", replace(PLAN, seed=2))
    uid = str(read(next((tmp_path / "study").rglob("*.dcm"))).StudyInstanceUID)
    storescu(node.port, tmp_path / "study")
    wait_until(lambda: finished(node, uid), "done", FINISH_S)
    files, at_pacs = digests(node.settings.storage.root), pacs.sop_instance_uids()
    storescu(node.port, tmp_path / "study")
    assert node.studies()[uid]["version"] == 1
    assert digests(node.settings.storage.root) == files
    assert pacs.sop_instance_uids() == at_pacs


def test_an_index_rebuilt_from_the_files_alone_gives_the_same_results(
    pacs: Orthanc, tmp_path: Path
) -> None:
    settings = node_settings(tmp_path, destination(pacs))
    write_study(tmp_path / "study", replace(PLAN, seed=3))
    uid = str(read(next((tmp_path / "study").rglob("*.dcm"))).StudyInstanceUID)
    with running_node(tmp_path, settings) as node:
        storescu(node.port, tmp_path / "study")
        wait_until(lambda: finished(node, uid), "done", FINISH_S)
        before = node.studies()[uid]
    files, at_pacs = digests(settings.storage.root), pacs.sop_instance_uids()
    for leftover in settings.storage.root.glob("index.sqlite*"):
        leftover.unlink()
    node.run("reindex", "--prove")
    with running_node(tmp_path, settings) as node:
        wait_until(lambda: finished(node, uid), "done again", FINISH_S)
        after = node.studies()[uid]
    assert after["stacks"] == before["stacks"]
    assert digests(settings.storage.root) == files
    assert pacs.sop_instance_uids() == at_pacs


def test_our_own_products_that_come_back_are_stored_and_not_processed(
    node: Node, pacs: Orthanc, tmp_path: Path
) -> None:
    write_study(tmp_path / "study", replace(PLAN, seed=4))
    uid = str(read(next((tmp_path / "study").rglob("*.dcm"))).StudyInstanceUID)
    storescu(node.port, tmp_path / "study")
    wait_until(lambda: finished(node, uid), "done", FINISH_S)
    derived = images_of(pacs, uid)
    echoed = tmp_path / "echoed"
    echoed.mkdir()
    for number, ds in enumerate(derived):
        ds.PatientComments = "touched by a PACS"  # other bytes under our UID: kept aside
        ds.save_as(echoed / f"{number}.dcm")
    storescu(node.port, echoed)
    study = node.studies()[uid]
    assert (study["version"], study["state"]) == (1, "done")
    wait_until(lambda: node.studies()[uid]["aside"] == len(derived), "all are aside", 20)


def test_a_late_slice_makes_a_second_version_and_only_its_results_are_new(
    node: Node, pacs: Orthanc, tmp_path: Path
) -> None:
    write_study(tmp_path / "study", replace(PLAN, seed=5))
    paths = sorted((tmp_path / "study" / "001").glob("*.dcm"))
    uid = str(read(paths[0]).StudyInstanceUID)
    late = paths[-PLAN.phases :]
    storescu(node.port, *paths[: -PLAN.phases])
    wait_until(lambda: finished(node, uid), "the first version is done", FINISH_S)
    first = {ds.SOPInstanceUID for ds in images_of(pacs, uid)}
    storescu(node.port, *late)
    wait_until(
        lambda: finished(node, uid) and node.studies()[uid]["version"] == 2, "done", FINISH_S
    )
    second = {ds.SOPInstanceUID for ds in images_of(pacs, uid)}
    assert first < second
    assert len(second - first) == len(late)


def test_a_dead_pacs_is_waited_for_and_does_not_delay_another(
    pacs: Orthanc, tmp_path: Path
) -> None:
    port = free_port()
    dead = Peer(name="dead", ae_title="DEAD", host=LOOPBACK, port=port, receives=("derived",))
    write_study(tmp_path / "study", replace(PLAN, seed=6))
    uid = str(read(next((tmp_path / "study").rglob("*.dcm"))).StudyInstanceUID)
    with running_node(tmp_path, node_settings(tmp_path, destination(pacs), dead)) as node:
        storescu(node.port, tmp_path / "study")

        def states() -> dict[str, str]:
            found = node.studies().get(uid, {"deliveries": []})["deliveries"]
            return {delivery["destination"]: delivery["state"] for delivery in found}

        wait_until(lambda: states().get("pacs") == "delivered", "the living one has all", FINISH_S)
        assert states()["dead"] == "pending"
        with orthanc(ae_title="DEAD", port=port) as revived:
            wait_until(lambda: states()["dead"] == "delivered", "the dead one has all", FINISH_S)
            assert len(revived.instances()) == PLAN.slices * PLAN.phases


def test_metrics_and_health_speak_and_no_patient_name_is_anywhere(
    pacs: Orthanc, tmp_path: Path
) -> None:
    base = free_port()
    settings = node_settings(
        tmp_path, destination(pacs), observe={"port": base, "log_level": "DEBUG"}
    )
    write_study(tmp_path / "study", replace(PLAN, seed=7))
    first = read(next((tmp_path / "study").rglob("*.dcm")))
    uid = str(first.StudyInstanceUID)
    with running_node(tmp_path, settings) as node:
        storescu(node.port, tmp_path / "study")
        wait_until(lambda: finished(node, uid), "done", FINISH_S)
        said = ""
        for port in range(base, base + 5):
            for page in ("metrics", "livez", "readyz"):
                with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/{page}") as answer:
                    assert answer.status == 200
                    said += answer.read().decode()
        said += node.run("status").stdout + node.run("status", "--json").stdout
    for metric in (
        'cmr_node_store_requests_total{status="0x0000"}',
        'cmr_node_studies_completed_total{why="proven"} 1.0',
        'cmr_node_jobs{kind="study",state="done"} 1.0',
        'cmr_node_instances_sent_total{destination="pacs",meaning="delivered"}',
    ):
        assert metric in said
    said += (tmp_path / "node.log").read_text()
    assert uid in said
    for name in (str(first.PatientName), str(first.PatientID)):
        assert name
        assert name not in said


@pytest.mark.skipif(not SUNNYBROOK.is_dir(), reason="the real data are not here")
def test_a_real_study_comes_back_standard_and_its_localizer_is_left_alone(
    node: Node, pacs: Orthanc, tmp_path: Path
) -> None:
    folder = SUNNYBROOK / "SC-HF-I-01"
    sources = [dcmread(path) for path in folder.rglob("*.dcm")]
    uid = str(sources[0].StudyInstanceUID)
    storescu(node.port, folder / "sax", folder / "localizer")
    wait_until(lambda: finished(node, uid), "done", 3 * FINISH_S)
    stacks = node.studies()[uid]["stacks"]
    by_sequence = {stack["sequence"]: stack for stack in stacks}
    assert by_sequence["cine"]["decision"] == "act"
    assert by_sequence["cine"]["operation"] == "rot90cw"  # stored rot90ccw
    assert by_sequence["localizer"]["decision"] == "leave"
    derived = images_of(pacs, uid)
    assert len(derived) == by_sequence["cine"]["derived"] > 0
    by_uid = {str(ds.SOPInstanceUID): ds for ds in sources}
    for ds in derived[:: max(1, len(derived) // 8)]:
        source = by_uid[ds.SourceImageSequence[0].ReferencedSOPInstanceUID]
        assert not new_errors_in(ds, source, tmp_path)
        np.testing.assert_array_equal(ds.pixel_array, np.rot90(source.pixel_array, -1))
    files = Files(node.settings.storage.root)
    for source in sources[:20]:
        kept = read(files.path_of(str(source.SOPInstanceUID)))
        assert kept.PixelData == source.PixelData


def test_the_node_stops_in_order_and_leaves_nothing_behind(tmp_path: Path, pacs: Orthanc) -> None:
    with running_node(tmp_path, node_settings(tmp_path, destination(pacs))) as node:
        wait_until(lambda: len(node.processes()["work"]) == 2, "the worker has started its slot")
        pids = [pid for found in node.processes().values() for pid in found]
        assert len(pids) >= 5
    assert node.process.returncode == 0
    assert not [pid for pid in pids if os.path.exists(f"/proc/{pid}")]
