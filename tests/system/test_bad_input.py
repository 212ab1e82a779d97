"""Bad input through a whole node: it answers, names the reason, goes on, and loses nothing.

Two ways of being bad.  What is no data set is refused at the door, with a status and the reason
in the Error Comment and the log.  What is a data set but no usable image is kept as it came,
byte for byte; the stack it belongs to is refused by name, and the rest of the study is done.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import socket
import struct
import threading
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import MPEG2MPML, UID, ImplicitVRLittleEndian, JPEGLSLossless

from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import View
from cmr_node.phantom.study import Plan, simulate_study
from cmr_node.settings import Peer
from cmr_node.store.disk import free_bytes
from cmr_node.store.files import Files
from tests.fault_scp import FaultScp, fault_scp
from tests.peers import LOOPBACK, Orthanc, orthanc, wait_until
from tests.raw_scu import ABORT, RawScu, fragments, p_data, pdv, store_rq
from tests.samples import data_set_bytes
from tests.system.following import Followed, Message, body_of, followed_node, message, send_raw
from tests.system.node import node_settings

pytestmark = pytest.mark.system

MR = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT = "1.2.840.10008.1.2.1"
PRIVATE_SYNTAX = "1.2.826.0.1.3680043.10.1338.99"
ONE = [(MR, [EXPLICIT])]
PLAN = Plan(
    seed=0,  # each study has a patient of its own
    views=(View.SAX, View.TWO_CHAMBER),
    slices=2,
    phases=2,
    rows=60,
    columns=72,
    pixel_spacing=4.0,
    stored_as={View.SAX: Orientation.ROT90CW},
)
TURNED = PLAN.slices * PLAN.phases
SEEDS = itertools.count(100)
CLOCKS: dict[str, Any] = {
    "assemble": {"quiet_period": 2, "stall_period": 2},
    "receive": {"connect_timeout": 3, "idle_timeout": 4},
    "deliver": {"retry_first": 1, "retry_cap": 1, "response_timeout": 2},
}


@pytest.fixture(scope="module")
def pacs() -> Iterator[Orthanc]:
    with orthanc() as found:
        yield found


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, pacs: Orthanc) -> Iterator[Followed]:
    folder = tmp_path_factory.mktemp("node")
    peer = receiving("pacs", pacs)
    with followed_node(folder, node_settings(folder, peer, **CLOCKS)) as found:
        yield found


def receiving(name: str, peer: Orthanc | FaultScp) -> Peer:
    return Peer(
        name=name, ae_title=peer.ae_title, host=LOOPBACK, port=peer.port, receives=("derived",)
    )


def held(pacs: Orthanc, study_uid: str) -> int:
    """How many instances of a study the PACS has."""
    found = [
        len(pacs.get(f"/studies/{one['ID']}/instances"))
        for one in pacs.get("/studies?expand")
        if one["MainDicomTags"]["StudyInstanceUID"] == study_uid
    ]
    return sum(found)


def study() -> list[FileDataset]:
    """A study of a new patient, four images of the short axis first."""
    return list(simulate_study(replace(PLAN, seed=next(SEEDS))))


def uid_of(images: Sequence[Dataset]) -> str:
    return str(images[0].StudyInstanceUID)


@pytest.fixture
def goes_on(node: Followed, pacs: Orthanc) -> Iterator[None]:
    """Whatever the test did to the node: a good study goes in and comes back afterwards."""
    yield
    images = study()[:TURNED]
    good = [message(ds) for ds in images]
    assert set(send_raw(node.node.port, good)) == {0}
    found = node.finish(uid_of(images))
    assert [stack["decision"] for stack in found["stacks"]] == ["act"]
    assert held(pacs, uid_of(images)) == len(good)
    assert all(node.stored(uid) == body for _, _, uid, body in good)


# What is no data set: refused at the door


def nested(depth: int) -> bytes:
    """A sequence in a sequence in a sequence, each closed as it should be."""
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    opened = struct.pack("<HH2sHL", 0x0040, 0x0275, b"SQ", 0, 0xFFFFFFFF) + item
    closed = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    return opened * depth + closed * depth


def implicit(image: FileDataset) -> bytes:
    image.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return data_set_bytes(image)


def climbing(image: FileDataset, keyword: str) -> bytes:
    """The data set with a UID that would lead out of a folder."""
    uid = str(image[keyword].value).encode()
    return data_set_bytes(image).replace(uid, b"../" * (len(uid) // 3) + b"." * (len(uid) % 3))


def before_pixels(image: FileDataset, more: bytes) -> bytes:
    body = data_set_bytes(image)
    at = body.rindex(struct.pack("<HH2s", 0x7FE0, 0x0010, b"OW"))
    return body[:at] + more + body[at:]


DAMAGE: dict[str, tuple[Callable[[FileDataset], bytes], int, str]] = {
    "nothing": (lambda ds: b"", 0xC000, "empty"),
    "cut off within its pixels": (lambda ds: data_set_bytes(ds)[:-999], 0xC000, "pixel data"),
    "cut off within its header": (lambda ds: data_set_bytes(ds)[:333], 0xC000, "ends"),
    "announced explicit, encoded implicit": (implicit, 0xC000, "has the VR"),
    "nested before its identity": (
        lambda ds: (
            nested(10_000).replace(b"\x40\0\x75\x02", b"\x08\0\x40\x11") + data_set_bytes(ds)
        ),
        0xC000,
        "deep",
    ),
    "nested after its identity": (lambda ds: before_pixels(ds, nested(10_000)), 0xC000, "deep"),
    "64 MB of zeros": (lambda ds: bytes(64 << 20), 0xC000, "offset 0"),
    "noise": (lambda ds: os.urandom(5000), 0xC000, ""),
    "a SOP Instance UID that climbs": (
        lambda ds: climbing(ds, "SOPInstanceUID"),
        0xC000,
        "SOPInstanceUID is no UID",
    ),
    "a Study Instance UID that climbs": (
        lambda ds: climbing(ds, "StudyInstanceUID"),
        0xC000,
        "StudyInstanceUID is no UID",
    ),
    "another instance than the command names": (
        lambda ds: climbing(ds, "SOPInstanceUID").replace(b"../", b"1.2").replace(b"..", b"12"),
        0xA900,
        "the command names SOP Instance UID",
    ),
}


@pytest.mark.usefixtures("goes_on")
def test_what_is_no_data_set_is_refused_with_status_and_reason_and_leaves_nothing(
    node: Followed,
) -> None:
    image = study()[0]
    uid, good = str(image.SOPInstanceUID), data_set_bytes(image)
    root = node.node.settings.storage.root
    around = sorted(path.name for path in root.parent.iterdir())
    with RawScu(node.node.port) as scu:
        assert scu.associate(ONE) == 2
        for name, (damaged, status, words) in DAMAGE.items():
            sent = damaged(deepcopy(image))
            scu.send(p_data(pdv(1, 3, store_rq(MR, uid))))
            for item in fragments(1, 0, sent, 120_000):
                scu.send(p_data(item))
            answered, values = scu.status()
            comment = values[0x0902].decode("ascii").strip()
            assert answered == status, f"{name}: 0x{answered:04X} {comment}"
            assert words in comment, f"{name}: {comment}"
            line = f"instance {uid} from RAW answered 0x{status:04X}: {comment}"
            assert line in node.said(), name
        assert send_raw(node.node.port, [message(image, ImplicitVRLittleEndian)]) == [0xC000]
        assert scu.store(1, MR, "../../../etc/passwd", good) == 0x0117
        assert r"instance '../../../etc/passwd' from RAW answered 0x0117" in node.said()
        assert node.study(uid_of([image])) is None
        assert not node.holds(uid)
        assert scu.store(1, MR, uid, good) == 0
        assert scu.release() == 6
    wait_until(lambda: node.holds(uid), "the good instance is filed")
    assert node.stored(uid) == good
    assert sorted(path.name for path in root.parent.iterdir()) == around
    assert not list((root / "incoming").rglob("part-*"))


@pytest.mark.usefixtures("goes_on")
def test_a_torn_file_among_good_ones_is_refused_alone(node: Followed, tmp_path: Path) -> None:
    images = study()[:TURNED]
    paths = [tmp_path / f"{number}.dcm" for number in range(TURNED)]
    for ds, path in zip(images, paths, strict=True):
        ds.save_as(path, enforce_file_format=True)
    torn = paths[1]
    torn.write_bytes(torn.read_bytes()[:-999])
    we_say = node.node.run("send", str(tmp_path), check=False)
    assert we_say.returncode == 1
    said = " ".join(we_say.stdout.split())
    assert f"{TURNED - 1} of {TURNED} files taken by CMRNODE" in said
    assert "1 refused" in said
    assert "1.dcm: 0xC000 cannot understand" in said
    found = node.finish(uid_of(images))
    assert found["instances"] == TURNED - 1
    assert not node.holds(str(images[1].SOPInstanceUID))


# Bad manners


@pytest.mark.usefixtures("goes_on")
def test_http_silence_and_broken_objects_are_ended_by_name_and_kept_out(node: Followed) -> None:
    port = node.node.port
    with pytest.raises((OSError, HTTPException)):
        urllib.request.urlopen(f"http://{LOOPBACK}:{port}/", timeout=10)
    image = study()[0]
    uid = str(image.SOPInstanceUID)
    half = p_data(pdv(1, 3, store_rq(MR, uid))) + p_data(pdv(1, 0, data_set_bytes(image)[:2000]))
    for last_words in (ABORT, b""):
        with RawScu(port) as scu:
            assert scu.associate(ONE) == 2
            scu.send(half + last_words)

    def broken_off() -> int:
        return node.said().count(f"instance {uid} from RAW broken off after 2000 bytes")

    wait_until(lambda: broken_off() == 2, "both are dropped")
    with socket.create_connection((LOOPBACK, port)) as silent, RawScu(port) as stuck:
        assert stuck.associate(ONE) == 2
        stuck.send(half)
        silent.settimeout(30)
        assert silent.recv(100) == b""
        assert stuck.receive()[0] == 7  # A-ABORT
    assert "aborted: silent for" in node.said()
    wait_until(lambda: broken_off() == 3, "the third is dropped")
    assert node.study(uid_of([image])) is None
    assert not node.holds(uid)


# What is a data set, and no usable image


@dataclass(frozen=True)
class Defect:
    """One thing wrong with one image of a stack that was to be turned.

    reason is in the status of the stack; alone: the image could not even lie in a stack.
    """

    send: Callable[[FileDataset], Message]
    reason: str
    alone: bool = False


def without(keyword: str) -> Callable[[FileDataset], Message]:
    def made(ds: FileDataset) -> Message:
        del ds[keyword]
        return message(ds)

    return made


def with_cosines(*cosines: float) -> Callable[[FileDataset], Message]:
    def made(ds: FileDataset) -> Message:
        ds.ImageOrientationPatient = [str(value) for value in cosines]
        return message(ds)

    return made


def compressed(ds: FileDataset, syntax: UID, frame: bytes) -> Message:
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate([frame])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return message(ds)


def torn_jpeg_ls(ds: FileDataset) -> Message:
    ds.compress(JPEGLSLossless, generate_instance_uid=False)
    frame = next(generate_frames(ds.PixelData, number_of_frames=1))
    return compressed(ds, JPEGLSLossless, frame[: len(frame) // 2])


def nested_after_pixels(ds: FileDataset) -> Message:
    signatures = nested(10_000).replace(b"\x40\0\x75\x02", b"\xfa\xff\xfa\xff")
    sop_class, syntax, uid, body = message(ds)
    return sop_class, syntax, uid, body + signatures


def too_few_pixels(ds: FileDataset) -> Message:
    """What pydicom makes of a file that ends too soon: the length is mended, the rows are gone."""
    ds.PixelData = ds.PixelData[:-998]
    return message(ds)


DEFECTS: dict[str, Defect] = {
    "no pixel data": Defect(without("PixelData"), "no PixelData"),
    "too few pixels": Defect(too_few_pixels, "PixelData"),
    "no cosines": Defect(without("ImageOrientationPatient"), "0 values", alone=True),
    "no position": Defect(without("ImagePositionPatient"), "0 values", alone=True),
    "cosines not unit": Defect(
        with_cosines(0.5, 0, 0, 0, 1, 0), "has length 0.5, allowed is 1", alone=True
    ),
    "cosines not orthogonal": Defect(
        with_cosines(1, 0, 0, 0.6, 0.8, 0), "is 0.6, allowed is 0", alone=True
    ),
    "private transfer syntax": Defect(
        lambda ds: message(ds, PRIVATE_SYNTAX), f"transfer syntax '{PRIVATE_SYNTAX}'"
    ),
    "no permitted decoder": Defect(
        lambda ds: compressed(ds, MPEG2MPML, bytes(200)), "transfer syntax MPEG2"
    ),
    "torn frame": Defect(torn_jpeg_ls, "JPEG"),
    "nested after its pixels": Defect(nested_after_pixels, "deep"),
}


@dataclass(frozen=True)
class Story:
    """A study with one bad image: what was sent and what the node says of it."""

    sent: list[Message]
    study: dict[str, Any]


@pytest.fixture(scope="module")
def stories(node: Followed) -> dict[str, Story]:
    """All studies with a defect and, last, a good one; all are waited for together."""
    sent: dict[str, tuple[str, list[Message]]] = {}
    for name, defect in DEFECTS.items():
        images = study()
        messages = [defect.send(deepcopy(images[0])), *map(message, images[1:])]
        assert set(send_raw(node.node.port, messages)) == {0}
        sent[name] = uid_of(images), messages
    return {name: Story(messages, node.finish(uid)) for name, (uid, messages) in sent.items()}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_stack_with_one_bad_image_is_refused_by_name_and_nothing_is_lost(
    node: Followed, pacs: Orthanc, stories: dict[str, Story], name: str
) -> None:
    defect, story = DEFECTS[name], stories[name]
    stacks = {stack["view"]: stack for stack in story.study["stacks"]}
    assert stacks["sax"]["decision"] == "refused"
    assert defect.reason in stacks["sax"]["reason"]
    assert story.sent[0][2] in stacks["sax"]["reason"]
    assert stacks["2ch"]["decision"] == "leave"
    assert ("other" in stacks) == defect.alone
    if defect.alone:
        assert stacks["other"]["decision"] == "refused"
        assert "1 instances lie in no stack" in stacks["other"]["reason"]
        assert defect.reason in stacks["other"]["reason"]
    assert not story.study["deliveries"]
    assert all(node.stored(uid) == body for _, _, uid, body in story.sent)


@pytest.mark.usefixtures("stories", "goes_on")
def test_the_status_of_the_node_names_every_reason(node: Followed) -> None:
    answer = node.node.run("status", "--json")
    assert answer.returncode == 0
    for name, defect in DEFECTS.items():
        assert defect.reason.replace('"', '\\"') in answer.stdout, name
    assert "Traceback" not in node.said()


@pytest.mark.usefixtures("goes_on")
def test_a_bad_image_in_a_crossing_stack_does_not_hold_up_the_short_axis(
    node: Followed, pacs: Orthanc
) -> None:
    images = study()
    sent = [*map(message, images[:TURNED]), *map(without("PixelData"), images[TURNED:])]
    assert set(send_raw(node.node.port, sent)) == {0}
    found = node.finish(uid_of(images))
    decisions = {stack["view"]: stack["decision"] for stack in found["stacks"]}
    assert decisions == {"sax": "act", "2ch": "leave"}
    assert held(pacs, uid_of(images)) == TURNED
    uid = str(images[TURNED].SOPInstanceUID)
    assert f"instance {uid} is not compared with crossing planes: no PixelData" in node.said()
    assert all(node.stored(uid) == body for _, _, uid, body in sent)


@pytest.mark.usefixtures("goes_on")
def test_a_study_without_one_usable_image_is_done_and_says_so(node: Followed) -> None:
    images = study()[:TURNED]
    sent = [without("ImageOrientationPatient")(ds) for ds in images]
    assert set(send_raw(node.node.port, sent)) == {0}
    found = node.finish(uid_of(images))
    (record,) = found["stacks"]
    assert (record["decision"], record["slices"]) == ("refused", TURNED)
    assert f"{TURNED} instances lie in no stack: ImageOrientationPatient" in record["reason"]
    assert all(node.stored(uid) == body for _, _, uid, body in sent)


@pytest.mark.usefixtures("goes_on")
def test_other_content_under_a_known_uid_is_kept_aside_and_shown(node: Followed) -> None:
    images = study()
    uid, first = uid_of(images), [message(ds) for ds in images]
    assert set(send_raw(node.node.port, first)) == {0}
    node.finish(uid)
    for ds in images:
        ds.SeriesDescription = "edited at the console"
    second = [message(ds) for ds in images]
    for _ in range(2):
        assert set(send_raw(node.node.port, second)) == {0xB007}
    wait_until(lambda: (node.study(uid) or {})["aside"] == len(second), "all are aside")
    files = Files(node.node.settings.storage.root)
    for (_, _, sop_uid, old), (_, _, _, new) in zip(first, second, strict=True):
        assert node.stored(sop_uid) == old
        digest = hashlib.sha256(new).hexdigest()
        assert body_of(files.aside_path_of(sop_uid, digest)) == new
    assert node.finish(uid)["version"] == 1
    shown = node.node.run("status", "--study", uid).stdout
    assert f"{len(second)} with other content kept aside" in " ".join(shown.split())


# A PACS that does not take what it is sent


def test_a_full_and_a_mute_pacs_get_all_in_the_end_and_do_not_delay_another(
    pacs: Orthanc, tmp_path: Path
) -> None:
    mends = threading.Event()
    takes = [(MR, [EXPLICIT])]
    mute_ends = threading.Event()

    def full(number: int, event: Any) -> int:
        return 0 if mends.is_set() else 0xA700

    def mute(number: int, event: Any) -> int:
        if not mends.is_set():
            mute_ends.wait(60)
        return 0

    with fault_scp(full, takes) as no_room, fault_scp(mute, takes) as no_answer:
        peers = [
            receiving("pacs", pacs),
            receiving("full", no_room),
            receiving("mute", no_answer),
        ]
        with followed_node(tmp_path, node_settings(tmp_path, *peers, **CLOCKS)) as node:
            images = study()
            uid, sent = uid_of(images), [message(ds) for ds in images]

            def delivery(name: str) -> dict[str, Any]:
                found = (node.study(uid) or {"deliveries": []})["deliveries"]
                return next((one for one in found if one["destination"] == name), {"state": ""})

            def failed_twice(name: str) -> bool:
                return int(delivery(name).get("failures", 0)) >= 2

            def delivered(name: str) -> bool:
                return bool(delivery(name)["state"] == "delivered")

            assert set(send_raw(node.node.port, sent)) == {0}
            wait_until(partial(delivered, "pacs"), "the good one has all", 60)
            assert held(pacs, uid) == TURNED
            for name, reason in (("full", "0xA700 out of resources"), ("mute", "no answer")):
                wait_until(partial(failed_twice, name), f"{name} failed twice", 60)
                assert delivery(name)["state"] == "pending"
                assert reason in delivery(name)["error"]
            said = " ".join(node.node.run("status").stdout.split())
            assert "0xA700 out of resources" in said
            assert "no answer" in said
            mends.set()
            mute_ends.set()
            for name, scp in (("full", no_room), ("mute", no_answer)):
                wait_until(partial(delivered, name), f"{name} has all", 60)
                assert len({one for one, _ in scp.came}) == TURNED
            assert all(node.stored(sop_uid) == body for _, _, sop_uid, body in sent)


# A disk that fills


def keep_free(folder: Path, free: int) -> None:
    """Take space until only ``free`` bytes are left; the file has no content of its own."""
    filler = folder / "filler"
    filler.unlink(missing_ok=True)
    size = free_bytes(folder) - free
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)


def test_a_full_disk_stops_work_then_the_door_and_both_go_on_when_there_is_room(
    pacs: Orthanc, tmp_path: Path
) -> None:
    room = free_bytes(tmp_path)
    step = min(1 << 29, room // 8)
    marks = {"soft_free_bytes": room - step, "hard_free_bytes": room - 3 * step}
    settings = node_settings(tmp_path, receiving("pacs", pacs), storage=marks, **CLOCKS)
    with followed_node(tmp_path, settings) as node:
        keep_free(tmp_path, room - 2 * step)
        wait_until(lambda: "no new work is started" in node.said(), "the node warns", 10)
        images = study()
        uid, sent = uid_of(images), [message(ds) for ds in images]
        assert set(send_raw(node.node.port, sent)) == {0}
        wait_until(lambda: node.at(uid, "queued"), "the study is complete", 30)

        keep_free(tmp_path, room - 4 * step)
        late = message(study()[0])
        wait_until(lambda: set(send_raw(node.node.port, [late])) == {0xA700}, "the door warns", 10)
        assert "bytes are free, less than storage.hard_free_bytes" in node.said()
        assert node.at(uid, "queued")
        assert not node.holds(late[2])

        (tmp_path / "filler").unlink()
        wait_until(lambda: set(send_raw(node.node.port, [late])) == {0}, "the door opens", 10)
        node.finish(uid)
        assert all(node.stored(sop_uid) == body for _, _, sop_uid, body in sent)
        said = node.said()
    assert said.count("no new work is started") == 1
    assert said.count("new work is started again") == 1
