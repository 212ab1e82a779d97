"""The door out, against our own door in and against a PACS that misbehaves."""

from __future__ import annotations

import contextlib
import gc
import resource
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLSLossless

from cmr_node.network.access import Access
from cmr_node.network.scp import StoreScp
from cmr_node.network.scu import BREAKS_IN_A_ROW, Outcome, echo, send
from cmr_node.network.status import Meaning
from cmr_node.network.wire import COMMAND, data_pdu
from cmr_node.settings import LOOPBACK, Deliver, Peer, Receive
from tests.fault_scp import FaultScp, fault_scp
from tests.memory_intake import MemoryIntake
from tests.peers import free_port
from tests.samples import data_set_bytes, mr, part10_bytes

MR = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT, IMPLICIT = str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)
TAKEN = [(MR, [EXPLICIT, IMPLICIT])]
QUICK = Deliver(associations=1, connect_timeout=0.5, response_timeout=0.5)


def peer(port: int, ae_title: str = "FAULTY") -> Peer:
    return Peer(name="pacs", ae_title=ae_title, host="127.0.0.1", port=port, receives=("derived",))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = []
    for number in range(8):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(part10_bytes(mr(slice_number=number)))
        paths.append(path)
    return paths


@pytest.fixture
def node() -> Iterator[tuple[StoreScp, MemoryIntake]]:
    intake = MemoryIntake()
    settings = Receive(port=0, host="127.0.0.1", max_associations=3)
    scp = StoreScp(settings, Access("CMRNODE", LOOPBACK), intake)
    scp.start()
    yield scp, intake
    scp.stop(0.5)


def uid(path: Path) -> str:
    return str(mr(slice_number=int(path.stem)).SOPInstanceUID)


def by_path(outcomes: list[Outcome]) -> dict[Path, Outcome]:
    found = {outcome.path: outcome for outcome in outcomes}
    assert len(found) == len(outcomes), "a file has two outcomes"
    return found


@pytest.mark.parametrize("associations", [1, 2, 5])
def test_every_file_arrives_byte_for_byte_over_any_number_of_associations(
    node: tuple[StoreScp, MemoryIntake], files: list[Path], associations: int
) -> None:
    scp, intake = node
    found = by_path(
        list(send(peer(scp.port, "CMRNODE"), files, "SENDER", Deliver(associations=associations)))
    )
    assert set(found) == set(files)
    assert {outcome.meaning for outcome in found.values()} == {Meaning.DELIVERED}
    assert {outcome.status for outcome in found.values()} == {0}
    assert {found[path].sop_instance_uid for path in files} == {uid(path) for path in files}
    for path in files:
        sent = data_set_bytes(mr(slice_number=int(path.stem)))
        assert intake.kept[uid(path)] == (MR, EXPLICIT, "SENDER", sent)


@pytest.mark.parametrize("max_pdu", [0, 4096, 16382, 200_000])
def test_an_object_is_cut_to_what_the_peer_takes(tmp_path: Path, max_pdu: int) -> None:
    ds = mr(rows=300, columns=300)
    path = tmp_path / "large.dcm"
    path.write_bytes(part10_bytes(ds))
    with fault_scp(contexts=TAKEN, max_pdu=max_pdu) as scp:
        (outcome,) = send(peer(scp.port), [path], "SENDER", Deliver())
    assert outcome.delivered
    assert scp.came == [(ds.SOPInstanceUID, data_set_bytes(ds))]


def test_a_compressed_file_goes_out_plain_where_the_peer_takes_nothing_else(
    tmp_path: Path,
) -> None:
    ds = mr(rows=40, columns=56)
    plain = data_set_bytes(ds)
    words = bytes(ds.PixelData)
    ds.compress(JPEGLSLossless, generate_instance_uid=False)
    path = tmp_path / "jls.dcm"
    path.write_bytes(part10_bytes(ds))
    before = path.read_bytes()
    with fault_scp(contexts=TAKEN) as scp:
        (outcome,) = send(peer(scp.port), [path], "SENDER", Deliver())
    assert outcome.delivered
    ((_, data),) = scp.came
    assert data.endswith(words)
    assert len(data) == len(plain)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (0xA700, Meaning.RETRY),
        (0x0110, Meaning.RETRY),
        (0xB007, Meaning.DELIVERED),
        (0x0111, Meaning.DELIVERED),
        (0xC123, Meaning.REFUSED),
        (0x0124, Meaning.REFUSED),
    ],
)
def test_each_answer_is_told_by_its_meaning(
    files: list[Path], status: int, meaning: Meaning
) -> None:
    with fault_scp(lambda number, event: status, TAKEN) as scp:
        found = list(send(peer(scp.port), files[:3], "SENDER", Deliver()))
    assert [(outcome.meaning, outcome.status) for outcome in found] == [(meaning, status)] * 3
    assert len(scp.came) == 3
    assert f"0x{status:04X}" in found[0].comment


def test_a_comment_of_the_peer_is_cut_to_what_one_may_be(files: list[Path]) -> None:
    def answer(number: int, event: Any) -> Any:
        said = Dataset()
        said.Status = 0xA700
        said.ErrorComment = "full\0\x1b[31m" + 80 * "x"
        return said

    with fault_scp(answer, TAKEN) as scp:
        (found,) = send(peer(scp.port), files[:1], "SENDER", QUICK)
    assert found.comment == "0xA700 out of resources: full??[31m" + 54 * "x"


def test_a_peer_that_talks_without_end_instead_of_answering_is_left(
    files: list[Path],
) -> None:
    """What it says is well formed: fragments of a command set, none the last."""
    fragments = data_pdu(1, COMMAND, bytes(16_000)) * 8

    def talk(number: int, event: Any) -> int:
        link = event.assoc.dul.socket.socket
        with contextlib.suppress(OSError):
            while True:
                link.sendall(fragments)
        return 0

    begun = time.monotonic()
    with fault_scp(talk, TAKEN) as scp:
        (found,) = send(peer(scp.port), files[:1], "SENDER", QUICK)
    assert time.monotonic() - begun < 10
    assert found.meaning is Meaning.RETRY
    assert "answer of more than 16384 bytes" in found.comment


def test_a_peer_that_never_answers_costs_one_instance_per_association(files: list[Path]) -> None:
    scp: FaultScp

    def hang(number: int, event: Any) -> int:
        scp.hung_up.wait(20)
        return 0

    begun = time.monotonic()
    with fault_scp(hang, TAKEN) as scp:
        found = by_path(list(send(peer(scp.port), files, "SENDER", QUICK)))
        assert time.monotonic() - begun < 8
        assert scp.associations == BREAKS_IN_A_ROW, "a timed-out association was used again"
    assert {outcome.meaning for outcome in found.values()} == {Meaning.RETRY}
    assert {outcome.status for outcome in found.values()} == {None}
    assert set(found) == set(files)
    assert "no answer" in found[files[0]].comment


def test_what_was_confirmed_before_an_abort_stands_and_the_rest_goes_on(files: list[Path]) -> None:
    def abort_third(number: int, event: Any) -> int:
        if number == 2:
            event.assoc.abort()
        return 0

    with fault_scp(abort_third, TAKEN) as scp:
        found = by_path(list(send(peer(scp.port), files, "SENDER", QUICK)))
    assert set(found) == set(files)
    retried = [path for path in files if found[path].meaning is Meaning.RETRY]
    assert retried == [files[2]]
    assert scp.associations == 2
    assert [found[path].delivered for path in files].count(True) == 7


def test_one_instance_that_always_breaks_does_not_hold_up_the_others(files: list[Path]) -> None:
    poison = uid(files[0])

    def abort_one(number: int, event: Any) -> int:
        if event.request.AffectedSOPInstanceUID == poison:
            event.assoc.abort()
        return 0

    with fault_scp(abort_one, TAKEN) as scp:
        found = by_path(list(send(peer(scp.port), files, "SENDER", QUICK)))
    assert [path for path in files if not found[path].delivered] == [files[0]]


def test_an_unreachable_peer_is_told_quickly_for_every_file(files: list[Path]) -> None:
    begun = time.monotonic()
    found = by_path(list(send(peer(free_port()), files, "SENDER", QUICK)))
    assert time.monotonic() - begun < 3
    assert set(found) == set(files)
    assert {outcome.meaning for outcome in found.values()} == {Meaning.RETRY}
    assert all("no connection" in outcome.comment for outcome in found.values())


def test_a_peer_that_accepts_and_says_nothing_is_given_up(files: list[Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        begun = time.monotonic()
        found = list(send(peer(server.getsockname()[1]), files, "SENDER", QUICK))
        assert time.monotonic() - begun < 5
    assert {outcome.meaning for outcome in found} == {Meaning.RETRY}


def test_a_wrong_title_is_no_verdict_on_the_instances(files: list[Path]) -> None:
    with fault_scp(contexts=TAKEN) as scp:
        found = list(send(peer(scp.port, "OTHER"), files, "SENDER", QUICK))
    assert {outcome.meaning for outcome in found} == {Meaning.RETRY}
    assert "Called AE title not recognised" in found[0].comment


def test_a_peer_with_room_for_one_association_gets_everything_over_it(
    files: list[Path],
) -> None:
    with fault_scp(contexts=TAKEN, maximum_associations=1) as scp:
        found = list(send(peer(scp.port), files, "SENDER", Deliver(associations=2)))
    assert [outcome.delivered for outcome in found] == [True] * 8


def test_a_class_that_the_peer_does_not_take_is_refused_and_the_rest_sent(
    tmp_path: Path, files: list[Path]
) -> None:
    other = tmp_path / "other.dcm"
    other.write_bytes(part10_bytes(mr(SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4")))
    with fault_scp(contexts=TAKEN) as scp:
        found = by_path(list(send(peer(scp.port), [other, *files], "SENDER", QUICK)))
    assert found[other].meaning is Meaning.REFUSED
    assert "Segmentation Storage" in found[other].comment
    assert all(found[path].delivered for path in files)


def test_a_file_that_is_none_or_gone_is_told_and_the_rest_sent(
    tmp_path: Path, files: list[Path]
) -> None:
    odd, gone = tmp_path / "odd.txt", tmp_path / "gone.dcm"
    odd.write_text("hello")
    with fault_scp(contexts=TAKEN) as scp:
        found = by_path(list(send(peer(scp.port), [odd, gone, *files], "SENDER", QUICK)))
    assert found[odd].meaning is Meaning.REFUSED
    assert found[gone].meaning is Meaning.RETRY
    assert all(found[path].delivered for path in files)


def test_leaving_early_ends_the_associations(files: list[Path]) -> None:
    with fault_scp(contexts=TAKEN) as scp:
        outcomes = send(peer(scp.port), files, "SENDER", QUICK)
        assert next(iter(outcomes)).delivered
        outcomes.close()  # type: ignore[attr-defined]
        assert not any("deliver-" in thread.name for thread in threading.enumerate())
        assert len(scp.came) <= 8


def test_more_than_128_contexts_reach_the_peer_over_several_associations(
    node: tuple[StoreScp, MemoryIntake], tmp_path: Path
) -> None:
    scp, intake = node
    paths = []
    for number in range(130):
        path = tmp_path / f"{number}.dcm"
        ds = mr(slice_number=number, SOPClassUID=f"1.3.6.1.4.1.99999.{number}")
        path.write_bytes(part10_bytes(ds))
        paths.append(path)
    found = list(send(peer(scp.port, "CMRNODE"), paths, "SENDER", Deliver()))
    assert [outcome.delivered for outcome in found] == [True] * 130
    assert len({kept[0] for kept in intake.kept.values()}) == 130


def test_a_large_file_is_not_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.dcm"
    whole = part10_bytes(mr(rows=8, columns=8))
    with path.open("wb") as file:
        file.write(whole)
        file.truncate(len(whole) + (128 << 20))
    scp_socket = socket.create_server(("127.0.0.1", 0))
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    thread = threading.Thread(target=_swallow, args=(scp_socket,))
    thread.start()
    (outcome,) = send(peer(scp_socket.getsockname()[1]), [path], "SENDER", Deliver())
    thread.join(20)
    scp_socket.close()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert outcome.status is None
    assert grown < 16 << 10, f"{grown} KiB more"


def _swallow(server: socket.socket) -> None:
    """Accept an association for MR, read to the end of the object, and hang up."""
    from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ

    connection, _ = server.accept()
    with connection:
        header = connection.recv(6, socket.MSG_WAITALL)
        body = connection.recv(int.from_bytes(header[2:6], "big"), socket.MSG_WAITALL)
        request = A_ASSOCIATE_RQ()
        request.decode(header + body)
        primitive = request.to_primitive()
        primitive.result, primitive.result_source = 0, 1
        results = primitive.presentation_context_definition_list
        for context in results:
            context.result = 0
        primitive.presentation_context_definition_results_list = results
        accept = A_ASSOCIATE_AC()
        accept.from_primitive(primitive)
        connection.sendall(accept.encode())
        seen = 0
        while seen < 128 << 20:
            got = len(connection.recv(1 << 20))
            if not got:
                return
            seen += got


def test_echo_tells_who_is_there_how_fast_and_why_not(
    node: tuple[StoreScp, MemoryIntake],
) -> None:
    scp, _ = node
    well = echo(peer(scp.port, "CMRNODE"), "SENDER", QUICK)
    assert well.ok
    assert 0 < well.seconds < 1
    wrong = echo(peer(scp.port, "OTHER"), "SENDER", QUICK)
    assert not wrong.ok
    assert "OTHER at 127.0.0.1" in wrong.reason
    gone = echo(peer(free_port()), "SENDER", QUICK)
    assert not gone.ok
    assert "no connection" in gone.reason
