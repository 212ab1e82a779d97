"""Both doors against real peers: DCMTK, Orthanc, and senders that mean no good."""

from __future__ import annotations

import os
import random
import socket
import struct
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from cmr_node.dicom.part10 import read_meta
from cmr_node.network.scu import echo, send
from cmr_node.network.status import Meaning
from cmr_node.settings import Deliver, Peer
from tests.peers import LOOPBACK, Listener, Orthanc, dcmtk, free_port, orthanc, storescp, wait_until
from tests.raw_scu import ABORT, RawScu, associate_rq, fragments, p_data, pdv, store_rq
from tests.receiver import Receiver, receiver
from tests.samples import data_set_bytes, mr, part10_bytes

pytestmark = pytest.mark.system

MR = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT = str(ExplicitVRLittleEndian)
ONE = [(MR, [EXPLICIT])]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with receiver(tmp_path_factory.mktemp("node") / "root", free_port()) as running:
        yield running


def stored(node: Receiver) -> dict[str, Path]:
    """Files of the store by SOP Instance UID."""
    found = {}
    for path in node.root.rglob("*"):
        if path.is_file() and not {"incoming", "journal"} & set(path.parts):
            with path.open("rb") as file:
                start = file.read(4096)
            if start[128:132] == b"DICM":
                found[read_meta(start).sop_instance_uid] = path
    return found


def data_set_of(path: Path) -> bytes:
    whole = path.read_bytes()
    return whole[read_meta(whole).offset :]


def resident_bytes(pid: int, field: str = "VmRSS") -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) << 10
    raise AssertionError(f"no {field} of process {pid}")


def save(folder: Path, *data_sets: pydicom.Dataset) -> list[Path]:
    paths = []
    for number, ds in enumerate(data_sets):
        path = folder / f"{number}.dcm"
        path.write_bytes(part10_bytes(ds))
        paths.append(path)
    return paths


def test_echoscu_is_answered_and_a_wrong_title_is_not(node: Receiver) -> None:
    def ask(called: str) -> int:
        command = [dcmtk("echoscu"), "-aec", called, LOOPBACK, str(node.port)]
        return subprocess.run(command, check=False, capture_output=True).returncode

    assert ask(node.ae_title) == 0
    assert ask("OTHER") != 0


@pytest.mark.parametrize(
    ("syntax", "options"),
    [
        (ExplicitVRLittleEndian, ["-xe"]),
        (ImplicitVRLittleEndian, ["-xi"]),
        (ExplicitVRBigEndian, ["-xb"]),
        (JPEGLSLossless, ["-xt"]),
        (RLELossless, ["-xr"]),
    ],
    ids=["explicit", "implicit", "big", "jpeg-ls", "rle"],
)
def test_storescu_sends_each_syntax_and_its_bytes_are_stored(
    node: Receiver, tmp_path: Path, syntax: UID, options: list[str]
) -> None:
    ds = mr(series=f"storescu {syntax}")
    uid, path = str(ds.SOPInstanceUID), tmp_path / "a.dcm"
    if syntax.is_compressed:
        ds.compress(syntax, generate_instance_uid=False)
    little = syntax.is_little_endian
    ds.file_meta.TransferSyntaxUID = syntax
    pydicom.dcmwrite(
        path, ds, implicit_vr=syntax.is_implicit_VR, little_endian=little, enforce_file_format=True
    )
    command = [dcmtk("storescu"), *options, "-aec", node.ae_title, LOOPBACK, str(node.port)]
    subprocess.run([*command, str(path)], check=True)
    wait_until(lambda: uid in stored(node), "the instance is filed", 10)
    # DCMTK encodes again what is not encapsulated: values must agree, not bytes.
    if syntax.is_compressed:
        assert data_set_of(stored(node)[uid]).count(ds.PixelData) == 1
    else:
        body, original = (
            pydicom.filereader.read_dataset(
                pydicom.filebase.DicomBytesIO(data_set_of(file)), syntax.is_implicit_VR, little
            )
            for file in (stored(node)[uid], path)
        )
        assert set(body.keys()) >= set(original.keys())
        assert all(body[element.tag].value == element.value for element in original)


def test_dcmsend_sends_a_folder_and_again_and_one_copy_is_kept(
    node: Receiver, tmp_path: Path
) -> None:
    sent = [mr(series="dcmsend", slice_number=number) for number in range(12)]
    save(tmp_path, *sent)
    command = [dcmtk("dcmsend"), "-aec", node.ae_title, "+sd", LOOPBACK, str(node.port)]
    for _ in range(2):
        subprocess.run([*command, str(tmp_path)], check=True)
    uids = {str(ds.SOPInstanceUID) for ds in sent}
    wait_until(lambda: uids <= set(stored(node)), "all instances are filed", 10)


def test_other_content_under_a_known_uid_is_warned_of_and_kept_aside(node: Receiver) -> None:
    one = data_set_bytes(mr(series="aside"))
    two = data_set_bytes(mr(series="aside", SeriesDescription="changed"))
    uid = str(mr(series="aside").SOPInstanceUID)
    with RawScu(node.port) as scu:
        assert scu.associate(ONE) == 2
        assert scu.store(1, MR, uid, one) == 0
        assert scu.store(1, MR, uid, one) == 0
        assert scu.store(1, MR, uid, two) == 0xB007
        assert scu.store(1, MR, uid, two) == 0xB007
    wait_until(lambda: uid in stored(node), "the instance is filed", 10)


def nested(depth: int) -> bytes:
    """A data set with sequences ``depth`` deep before its UIDs can be read."""
    start = struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    return start * depth + data_set_bytes(mr())


def test_what_is_no_data_set_is_refused_with_the_reason_and_the_next_one_stored(
    node: Receiver,
) -> None:
    good = data_set_bytes(mr(series="after bad ones"))
    uid = str(mr(series="after bad ones").SOPInstanceUID)
    with RawScu(node.port) as scu:
        assert scu.associate(ONE) == 2
        for bad in (nested(10_000), good[: len(good) // 2], good[:300], b"", os.urandom(5000)):
            scu.send(p_data(pdv(1, 3, store_rq(MR, uid))))
            for item in fragments(1, 0, bad, 16_000):
                scu.send(p_data(item))
            status, values = scu.status()
            assert status & 0xF000 == 0xC000 or status == 0xA900, hex(status)
            assert 0 < len(values[0x0902]) <= 64
        assert scu.store(1, MR, "../../../etc/passwd", good) == 0x0117
        assert scu.store(1, MR, "1.2.3", good) == 0xA900
        assert scu.store(1, MR, uid, good) == 0
    wait_until(lambda: uid in stored(node), "the instance is filed", 10)
    assert data_set_of(stored(node)[uid]) == good


def test_a_large_object_of_zeros_costs_little_memory(node: Receiver) -> None:
    megabytes = 256
    zeros = p_data(pdv(1, 0, bytes(100_000)))
    Path(f"/proc/{node.pid}/clear_refs").write_text("5")  # the peak starts anew
    before = resident_bytes(node.pid)
    with RawScu(node.port, 60) as scu:
        assert scu.associate(ONE) == 2
        scu.send(p_data(pdv(1, 3, store_rq(MR, "1.2.3"))))
        for _ in range(megabytes * 10):
            scu.send(zeros)
        scu.send(p_data(pdv(1, 2, b"")))
        assert scu.status()[0] & 0xF000 == 0xC000
    assert resident_bytes(node.pid, "VmHWM") - before < 64 << 20


def test_a_large_instance_is_stored_whole_with_little_memory(node: Receiver) -> None:
    frames = 1500
    ds = mr(series="large", rows=256, columns=256, NumberOfFrames=frames, PixelData=b"")
    ds["PixelData"].VR = "OW"
    uid, start = str(ds.SOPInstanceUID), data_set_bytes(ds)
    length = frames * 256 * 256 * 2
    start = start[:-4] + struct.pack("<L", length)
    piece = random.Random(1).randbytes(1 << 16)
    Path(f"/proc/{node.pid}/clear_refs").write_text("5")
    before = resident_bytes(node.pid)
    with RawScu(node.port, 120) as scu:
        assert scu.associate(ONE) == 2
        scu.send(p_data(pdv(1, 3, store_rq(MR, uid))) + p_data(pdv(1, 0, start)))
        item = p_data(pdv(1, 0, piece))
        for _ in range(length // len(piece)):
            scu.send(item)
        scu.send(p_data(pdv(1, 2, b"")))
        assert scu.status()[0] == 0
    assert resident_bytes(node.pid, "VmHWM") - before < 64 << 20
    wait_until(lambda: uid in stored(node), "the instance is filed", 20)
    assert len(data_set_of(stored(node)[uid])) == len(start) + length


@pytest.fixture
def held() -> Iterator[list[socket.socket]]:
    """Sockets that are closed at the end of the test."""
    sockets: list[socket.socket] = []
    yield sockets
    for one in sockets:
        one.close()


def test_bad_manners_leave_the_door_open_for_others(
    node: Receiver, held: list[socket.socket]
) -> None:
    silent = [socket.create_connection((LOOPBACK, node.port)) for _ in range(5)]
    held.extend(silent)
    with pytest.raises((OSError, HTTPException)):
        urllib.request.urlopen(f"http://{LOOPBACK}:{node.port}/", timeout=5)
    for last_words in (ABORT, b""):
        with RawScu(node.port) as scu:
            assert scu.associate(ONE) == 2
            half = p_data(pdv(1, 3, store_rq(MR, "1.2.99"))) + p_data(pdv(1, 0, bytes(9000)))
            scu.send(half + last_words)
    with RawScu(node.port) as scu:
        scu.send(associate_rq("OTHER", "RAW", ONE))
        assert scu.receive() == (3, bytes([0, 1, 1, 7]))
    many = [RawScu(node.port) for _ in range(21)]
    held.extend(scu.socket for scu in many)
    kinds = [scu.associate(ONE) for scu in many]
    assert kinds.count(2) == 20
    assert kinds.count(3) == 1
    for scu in many:
        scu.socket.close()
    peer = Peer(name="node", ae_title=node.ae_title, host=LOOPBACK, port=node.port)
    wait_until(lambda: echo(peer, "ECHO", Deliver()).ok, "the door answers", 5)
    assert "1.2.99" not in stored(node)


def as_peer(listener: Listener | Orthanc) -> Peer:
    return Peer(
        name="pacs",
        ae_title=listener.ae_title,
        host=LOOPBACK,
        port=listener.port,
        receives=("derived",),
    )


def test_storescp_gets_every_file_bit_for_bit(tmp_path: Path) -> None:
    sent = [mr(series="storescp", slice_number=number) for number in range(10)]
    (tmp_path / "out").mkdir()
    paths = save(tmp_path / "out", *sent)
    with storescp(tmp_path / "in", "--bit-preserving", "--fork") as peer:
        assert echo(as_peer(peer), "NODE", Deliver()).ok
        found = list(send(as_peer(peer), paths, "NODE", Deliver(associations=2)))
        assert [outcome.delivered for outcome in found] == [True] * 10
        received = [path.read_bytes() for path in peer.files()]
    bodies = {whole[read_meta(whole).offset :] for whole in received}
    assert bodies == {data_set_bytes(ds) for ds in sent}


def test_storescp_that_takes_implicit_only_gets_what_is_compressed_decompressed(
    tmp_path: Path,
) -> None:
    ds = mr(series="implicit only")
    words = bytes(ds.PixelData)
    ds.compress(JPEGLSLossless, generate_instance_uid=False)
    (path,) = save(tmp_path, ds)
    with storescp(tmp_path / "in", "--implicit") as peer:
        (outcome,) = send(as_peer(peer), [path], "NODE", Deliver())
        assert outcome.delivered, outcome.comment
        (received,) = peer.files()
        found = pydicom.dcmread(received)
    assert found.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert found.PixelData == words


def test_orthanc_gets_every_instance_once_and_a_repeat_is_delivered_too(tmp_path: Path) -> None:
    sent = [mr(series="orthanc", slice_number=number) for number in range(10)]
    paths = save(tmp_path, *sent)
    with orthanc() as pacs:
        assert echo(as_peer(pacs), "NODE", Deliver()).ok
        for _ in range(2):
            found = list(send(as_peer(pacs), paths, "NODE", Deliver(associations=3)))
            assert {outcome.meaning for outcome in found} == {Meaning.DELIVERED}
        assert pacs.sop_instance_uids() == sorted(str(ds.SOPInstanceUID) for ds in sent)


def test_stopping_a_busy_receiver_takes_few_seconds(tmp_path: Path) -> None:
    with receiver(tmp_path / "root", free_port()) as node:
        scu = RawScu(node.port)
        assert scu.associate(ONE) == 2
        scu.send(p_data(pdv(1, 3, store_rq(MR, "1.2.3"))) + p_data(pdv(1, 0, b"half")))
        begun = time.monotonic()
    assert time.monotonic() - begun < 7
    scu.socket.close()
