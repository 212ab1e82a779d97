"""The door in, over real sockets."""

from __future__ import annotations

import logging
import os
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from cmr_node.errors import StoreFull
from cmr_node.network.access import Access
from cmr_node.network.scp import CONNECTIONS_BESIDE, STRANGERS, StoreScp
from cmr_node.settings import LOOPBACK, Peer, Receive
from tests.memory_intake import MemoryIntake
from tests.peers import wait_until
from tests.raw_scu import (
    ABORT,
    RawScu,
    associate_rq,
    echo_rq,
    element,
    fragments,
    p_data,
    pdv,
    store_pdus,
    store_rq,
)
from tests.samples import data_set_bytes, mr

MR = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
ONE = [(MR, [EXPLICIT])]


class Diary:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.rejected: list[str] = []
        self.closed: list[tuple[str, str]] = []
        self.answered: list[tuple[str, int, int]] = []

    def association_opened(self, peer: str) -> None:
        self.opened.append(peer)

    def association_rejected(self, reason: str) -> None:
        self.rejected.append(reason)

    def association_closed(self, peer: str, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.closed.append((peer, outcome))

    def instance_answered(self, peer: str, status: int, size_bytes: int, seconds: float) -> None:
        assert seconds >= 0
        self.answered.append((peer, status, size_bytes))


class Door:
    """A running SCP with what it is wired to."""

    def __init__(self, peers: tuple[Peer, ...] = LOOPBACK, **settings: Any) -> None:
        self.intake, self.diary = MemoryIntake(), Diary()
        receive = Receive.model_validate({"port": 0, "host": "127.0.0.1", **settings})
        self.scp = StoreScp(receive, Access(receive.ae_title, peers), self.intake, self.diary)
        self.scp.start()

    @property
    def port(self) -> int:
        return self.scp.port


@pytest.fixture
def doors() -> Iterator[Any]:
    opened: list[Door] = []

    def make(*args: Any, **settings: Any) -> Door:
        opened.append(Door(*args, **settings))
        return opened[-1]

    yield make
    for door in opened:
        if door.intake.hold is not None:
            door.intake.hold.set()
        door.scp.stop(0.5)
    wait_until(
        lambda: not any("Acceptor" in thread.name for thread in threading.enumerate()),
        "every association thread ends",
        5,
    )


def data(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def test_a_data_set_is_kept_byte_for_byte_with_what_was_negotiated(doors: Any) -> None:
    door = doors()
    sent = data_set_bytes(mr())
    with RawScu(door.port) as scu:
        assert scu.associate([(MR, [EXPLICIT]), (MR, [IMPLICIT])]) == 2
        assert scu.store(1, MR, "1.2.3", sent) == 0
        assert scu.store(3, MR, "1.2.4", sent) == 0
        assert scu.release() == 6
    assert door.intake.kept["1.2.3"] == (MR, EXPLICIT, "RAW", sent)
    assert door.intake.kept["1.2.4"] == (MR, IMPLICIT, "RAW", sent)
    wait_until(lambda: bool(door.diary.closed), "the association closes")
    assert door.diary.opened == ["loopback"]
    assert door.diary.closed == [("loopback", "released")]
    assert door.diary.answered == [("loopback", 0, len(sent))] * 2


def test_pynetdicom_gets_its_echo_and_its_objects_stored(doors: Any) -> None:
    door, ae = doors(), AE("STOCK")
    ae.add_requested_context(Verification)
    ae.add_requested_context(MR, EXPLICIT)
    assoc = ae.associate("127.0.0.1", door.port, ae_title="CMRNODE")
    assert assoc.is_established
    for number in range(3):
        assert assoc.send_c_store(mr(phase=number)).Status == 0
        assert assoc.send_c_echo().Status == 0
    assoc.release()
    assert assoc.is_released
    assert len(door.intake.kept) == 3


def test_unknown_classes_in_unknown_syntaxes_are_stored_as_sent(doors: Any) -> None:
    door, private, syntax = doors(), "1.3.12.2.1107.5.9.1", "1.2.752.24.3.7.6"
    with RawScu(door.port) as scu:
        assert scu.associate([(private, [syntax, IMPLICIT]), ("2.25.7", ["2.25.8"])]) == 2
        assert scu.accepted == {1: syntax, 3: "2.25.8"}
        assert scu.store(1, private, "1.2.3", b"no DICOM at all") == 0
        assert scu.store(3, "2.25.7", "1.2.4", b"") == 0
    assert door.intake.kept["1.2.3"] == (private, syntax, "RAW", b"no DICOM at all")
    assert door.intake.kept["1.2.4"] == ("2.25.7", "2.25.8", "RAW", b"")


def test_bytes_may_come_one_at_a_time(doors: Any) -> None:
    door, sent = doors(), data(700)
    with RawScu(door.port) as scu:
        request = associate_rq("CMRNODE", "SLOW", ONE)
        for at in range(0, len(request), 1):
            scu.send(request[at : at + 1])
        assert scu.receive()[0] == 2
        stream = store_pdus(1, store_rq(MR, "1.2.3"), sent, 64)
        for at in range(0, len(stream), 1):
            scu.send(stream[at : at + 1])
        assert scu.status()[0] == 0
        assert scu.release() == 6
    assert door.intake.kept["1.2.3"][3] == sent


def test_several_values_in_a_pdu_and_objects_in_one_write_are_kept_apart(doors: Any) -> None:
    door = doors()
    stream, sent = b"", {}
    for number in range(20):
        uid, body = f"1.2.{number}", data(3000, number)
        sent[uid] = body
        context = 1 + 2 * (number % 2)
        command = fragments(context, 1, store_rq(MR, uid, number), 17)
        stream += p_data(*command, *fragments(context, 0, body, 999))
        stream += p_data(pdv(1, 3, echo_rq(100 + number)))
    with RawScu(door.port) as scu:
        assert scu.associate([(MR, [EXPLICIT]), (MR, [IMPLICIT])]) == 2
        scu.send(stream)
        fields = [struct.unpack("<H", scu.status()[1][0x0100])[0] for _ in range(40)]
        assert sorted(fields) == [0x8001] * 20 + [0x8030] * 20
        assert scu.release() == 6
    assert {uid: kept[3] for uid, kept in door.intake.kept.items()} == sent


def test_fragments_reach_the_store_no_larger_than_a_pdu(doors: Any) -> None:
    door, sent = doors(max_pdu_bytes=16384), data(1_000_000)
    with RawScu(door.port) as scu:
        scu.associate(ONE)
        scu.send(store_pdus(1, store_rq(MR, "1.2.3"), sent, 16384 - 6))
        assert scu.status()[0] == 0
    assert door.intake.largest_fragment <= 16384
    assert door.intake.kept["1.2.3"][3] == sent


def test_an_early_failure_is_answered_after_the_whole_object(doors: Any) -> None:
    door = doors()
    door.intake.fail["begin"] = StoreFull("1 GiB free, 2 GiB are to be kept free")
    with RawScu(door.port) as scu:
        scu.associate(ONE)
        scu.send(store_pdus(1, store_rq(MR, "1.2.3"), data(500_000)))
        status, values = scu.status()
        assert status == 0xA700
        assert values[0x0902].rstrip() == b"1 GiB free, 2 GiB are to be kept free"
        door.intake.fail.clear()
        assert scu.store(1, MR, "1.2.3", b"again") == 0
    assert door.diary.answered == [("loopback", 0xA700, 500_000), ("loopback", 0, 5)]


def test_success_is_not_said_before_the_store_has_kept_it(doors: Any) -> None:
    door = doors()
    door.intake.hold = threading.Event()
    with RawScu(door.port) as scu:
        scu.associate(ONE)
        scu.send(store_pdus(1, store_rq(MR, "1.2.3"), b"data"))
        assert door.intake.keeping.wait(5)
        scu.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            scu.receive()
        door.intake.hold.set()
        scu.socket.settimeout(5)
        assert scu.status()[0] == 0


@pytest.mark.parametrize("ending", ["abort", "close", "reset"])
def test_an_object_broken_off_in_the_middle_is_discarded(doors: Any, ending: str) -> None:
    door, written = doors(), threading.Event()
    door.intake.tap = lambda step: written.set() if step == "write" else None
    stream = store_pdus(1, store_rq(MR, "1.2.3"), data(300_000), 10_000)
    with RawScu(door.port) as scu:
        scu.associate(ONE)
        whole = len(stream) // 10_016 * 10_016 // 2
        if ending == "abort":
            scu.send(store_pdus(1, store_rq(MR, "1.2.3"), b"")[:-12])
            scu.send(p_data(pdv(1, 0, data(5000))) + ABORT)
        else:
            scu.send(stream[:whole])
        assert written.wait(5)
        if ending == "reset":
            scu.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: door.intake.discarded == ["1.2.3"], "the object is discarded", 5)
    wait_until(lambda: door.scp.associations == 0, "the association ends", 5)
    assert door.diary.closed == [("loopback", "aborted")]
    assert door.intake.kept == {}
    with RawScu(door.port) as scu:
        assert scu.associate(ONE) == 2


@pytest.mark.parametrize(
    ("called", "calling", "peers", "diagnostic", "label"),
    [
        ("OTHER", "RAW", LOOPBACK, 7, "called_ae"),
        (
            "CMRNODE",
            "RAW",
            (Peer(name="a", ae_title="MR1", host="127.0.0.1", sends=True),),
            3,
            "calling_ae",
        ),
        (
            "CMRNODE",
            "RAW",
            (Peer(name="a", ae_title="RAW", host="10.0.0.0/8", sends=True),),
            3,
            "address",
        ),
    ],
)
def test_a_stranger_is_rejected_for_good_and_counted(
    doors: Any, called: str, calling: str, peers: Any, diagnostic: int, label: str
) -> None:
    door = doors(peers)
    with RawScu(door.port) as scu:
        scu.send(associate_rq(called, calling, ONE))
        assert scu.receive() == (3, bytes([0, 1, 1, diagnostic]))
        assert scu.receive() == (0, b"")
    assert door.diary.rejected == [label]
    assert door.diary.opened == []


def test_one_association_too_many_is_rejected_as_transient_and_fits_later(doors: Any) -> None:
    door = doors(max_associations=2)
    with RawScu(door.port) as one, RawScu(door.port) as two, RawScu(door.port) as three:
        assert (one.associate(ONE), two.associate(ONE)) == (2, 2)
        begun = time.monotonic()
        three.send(associate_rq("CMRNODE", "RAW", ONE))
        assert three.receive() == (3, bytes([0, 2, 3, 2]))
        assert time.monotonic() - begun < 1
        assert one.release() == 6
        wait_until(lambda: door.scp.associations == 1, "the first association ends", 5)
        with RawScu(door.port) as four:
            assert four.associate(ONE) == 2
            assert two.store(1, MR, "1.2.3", b"data") == 0
    assert door.diary.rejected == ["local_limit"]


def test_http_on_the_port_ends_the_connection(doors: Any) -> None:
    door = doors()
    with RawScu(door.port) as scu:
        scu.send(b"GET / HTTP/1.1\r\nHost: node\r\n\r\n")
        assert scu.receive()[0] in (7, 0)
        scu.socket.settimeout(5)
        assert scu.socket.recv(100) == b""
    with RawScu(door.port) as scu:
        assert scu.associate(ONE) == 2


def test_a_peer_that_says_nothing_is_closed(doors: Any) -> None:
    door = doors(connect_timeout=0.3)
    with RawScu(door.port) as silent, RawScu(door.port) as slow:
        begun = time.monotonic()
        for byte in associate_rq("CMRNODE", "SLOW", ONE)[:20]:
            try:
                slow.send(bytes([byte]))
            except OSError:
                break
            time.sleep(0.05)
        assert silent.receive() == (0, b"")
        assert slow.receive() == (0, b"")
        assert 0.25 < time.monotonic() - begun < 3


def test_a_silent_association_is_aborted(doors: Any) -> None:
    door = doors(idle_timeout=0.3)
    with RawScu(door.port) as scu:
        assert scu.associate(ONE) == 2
        assert scu.store(1, MR, "1.2.3", b"data") == 0
        scu.send(p_data(pdv(1, 3, store_rq(MR, "1.2.4"))))
        begun = time.monotonic()
        assert scu.receive()[0] == 7
        assert 0.2 < time.monotonic() - begun < 3
        assert scu.receive() == (0, b"")
    wait_until(lambda: door.intake.discarded == ["1.2.4"], "the object is discarded", 5)


@pytest.mark.parametrize(
    "junk",
    [
        struct.pack(">BxL", 4, 1 << 20),
        struct.pack(">BxL", 4, 3) + b"abc",
        p_data(pdv(99, 3, store_rq(MR, "1.2.3"))),
        p_data(pdv(1, 0, b"no command")),
        p_data(pdv(1, 3, b"\0\1\2\3\4\5\6\7\x08")),
        b"\xff" * 100,
        associate_rq("CMRNODE", "AGAIN", ONE),
        bytes([1, 0, 0, 0, 0, 4]) + b"abcd",
    ],
)
def test_what_breaks_the_protocol_is_aborted_and_harms_nobody_else(doors: Any, junk: bytes) -> None:
    door = doors()
    with RawScu(door.port) as other:
        assert other.associate(ONE) == 2
        with RawScu(door.port) as scu:
            assert scu.associate(ONE) == 2
            scu.send(junk)
            assert scu.receive()[0] == 7
            assert scu.receive() == (0, b"")
        assert other.store(1, MR, "1.2.3", b"data") == 0
    wait_until(lambda: door.scp.associations == 0, "all associations end", 5)


def test_a_flood_of_echoes_is_aborted_instead_of_queued(doors: Any) -> None:
    door = doors()
    with RawScu(door.port) as scu:
        assert scu.associate([("1.2.840.10008.1.1", [IMPLICIT])]) == 2
        scu.send(p_data(*(pdv(1, 3, echo_rq(n)) for n in range(1, 500))))
        kinds = []
        while kinds[-1:] not in ([0], [7]):
            kinds.append(scu.receive()[0])
    assert kinds[-1] == 7
    assert len(kinds) < 200
    with RawScu(door.port) as scu:
        assert scu.associate(ONE) == 2
        assert scu.store(1, MR, "1.2.3", b"data") == 0


def other_rq(field: int) -> bytes:
    """A command set of another message, without a data set."""
    body = b"".join(
        (
            element(0x0002, MR.encode()),
            element(0x0100, struct.pack("<H", field)),
            element(0x0110, struct.pack("<H", 1)),
            element(0x0700, struct.pack("<H", 0)),
            element(0x0800, struct.pack("<H", 0x0101)),
        )
    )
    return element(0, struct.pack("<L", len(body))) + body


@pytest.mark.parametrize("field", [0x0020, 0x0021, 0x0150, 0x0FF0])
def test_another_service_than_storage_ends_that_association_only(doors: Any, field: int) -> None:
    door = doors()
    with RawScu(door.port) as other, RawScu(door.port) as scu:
        assert (other.associate(ONE), scu.associate(ONE)) == (2, 2)
        scu.send(p_data(pdv(1, 3, other_rq(field))))
        assert scu.receive()[0] == 7
        assert other.store(1, MR, "1.2.3", b"data") == 0


def test_a_peer_that_does_not_wait_for_the_acceptance_is_aborted(doors: Any) -> None:
    door = doors()
    for _ in range(20):
        with RawScu(door.port) as scu:
            scu.send(associate_rq("CMRNODE", "RAW", ONE) + b"\xff" * 50)
            kinds = [scu.receive()[0], scu.receive()[0]]
            assert 7 in kinds or kinds[-1] == 0
    with RawScu(door.port) as scu:
        assert scu.associate(ONE) == 2
    wait_until(lambda: door.scp.associations == 0, "all associations end", 5)


def test_random_bytes_at_any_moment_end_an_association_and_nothing_else(doors: Any) -> None:
    door, dice = doors(), random.Random(2)
    whole = store_pdus(1, store_rq(MR, "1.2.3"), data(2000), 300)
    with RawScu(door.port) as other:
        assert other.associate(ONE) == 2
        for _ in range(60):
            broken = bytearray(whole)
            for _ in range(dice.randrange(1, 6)):
                broken[dice.randrange(len(broken))] = dice.randrange(256)
            with RawScu(door.port) as scu:
                assert scu.associate(ONE) == 2
                scu.send(bytes(broken[: dice.randrange(1, len(broken))]))
                scu.socket.shutdown(socket.SHUT_WR)
                scu.socket.settimeout(5)
                while scu.receive()[0]:
                    pass
        assert other.store(1, MR, "1.2.9", b"data") == 0
        wait_until(lambda: door.scp.associations == 1, "the other associations end", 5)


def test_an_announced_4_gib_is_refused_before_anything_is_buffered(doors: Any) -> None:
    door = doors()
    with RawScu(door.port) as scu:
        before = resident_bytes()
        sent = 0
        scu.socket.settimeout(5)
        try:
            scu.send(struct.pack(">BxL", 1, 0xFFFFFFFF))
            for _ in range(300):
                scu.send(bytes(1 << 17))
                sent += 1 << 17
        except OSError:
            pass
        assert resident_bytes() - before < 4 << 20
        assert sent < 300 << 17 or scu.receive()[0] in (0, 7)


def resident_bytes() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_silent_strangers_do_not_lock_the_peers_out(doors: Any) -> None:
    door = doors((Peer(name="far", ae_title="*", host="10.0.0.0/8", sends=True),))
    silent = [RawScu(door.port) for _ in range(STRANGERS + 3)]
    try:
        wait_until(
            lambda: door.diary.rejected.count("connections") >= 3, "the connections are counted", 5
        )
    finally:
        for scu in silent:
            scu.socket.close()
    assert door.diary.rejected == ["connections"] * 3


def test_connections_without_an_association_are_limited(doors: Any) -> None:
    door = doors(max_associations=1)
    with RawScu(door.port) as scu:
        assert scu.associate(ONE) == 2
        silent = [RawScu(door.port) for _ in range(CONNECTIONS_BESIDE + 5)]
        wait_until(lambda: len(door.diary.rejected) == 5, "the connections are counted", 5)
        assert scu.store(1, MR, "1.2.3", b"data") == 0
        for one in silent:
            one.socket.close()


def test_a_name_service_that_hangs_holds_up_no_association_that_is_open() -> None:
    asked, gate = [], threading.Event()

    def resolve(host: str) -> list[str]:
        asked.append(host)
        if len(asked) == 2:  # the first is asked before the connection is taken
            gate.wait(20)
        return []

    peers = (Peer(name="far", ae_title="*", host="scanner.example", sends=True),)
    scp = StoreScp(
        Receive(port=0, host="127.0.0.1"), Access("CMRNODE", peers, resolve), MemoryIntake()
    )
    scp.start()
    try:
        with RawScu(scp.port):
            wait_until(lambda: len(asked) == 2, "the name is asked for", 5)
            counted = threading.Thread(target=lambda: scp.associations, daemon=True)
            counted.start()
            counted.join(2)
            assert not counted.is_alive()
            gate.set()
    finally:
        gate.set()
        scp.stop(0.5)


def test_stopping_lets_an_object_in_progress_end(doors: Any) -> None:
    door = doors()
    port = door.port
    with RawScu(door.port) as busy, RawScu(door.port) as idle, RawScu(door.port) as silent:
        assert (busy.associate(ONE), idle.associate(ONE)) == (2, 2)
        busy.send(p_data(pdv(1, 3, store_rq(MR, "1.2.3"))) + p_data(pdv(1, 0, b"one ")))
        wait_until(lambda: bool(door.diary.opened), "the object begins", 5)
        time.sleep(0.05)
        stopping = threading.Thread(target=door.scp.stop, args=(5.0,))
        begun = time.monotonic()
        stopping.start()
        assert idle.receive()[0] == 7
        assert silent.receive() == (0, b"")
        busy.send(p_data(pdv(1, 2, b"two")))
        assert busy.status()[0] == 0
        assert busy.receive()[0] == 7
        for scu in (busy, idle):
            scu.socket.close()
        stopping.join(10)
        assert time.monotonic() - begun < 3
    assert door.intake.kept["1.2.3"][3] == b"one two"
    with pytest.raises(OSError, match="refused"):
        RawScu(port)


def test_stopping_cuts_off_who_does_not_come_to_an_end(doors: Any) -> None:
    door = doors()
    with RawScu(door.port) as scu:
        assert scu.associate(ONE) == 2
        scu.send(p_data(pdv(1, 3, store_rq(MR, "1.2.3"))) + p_data(pdv(1, 0, b"half")))
        wait_until(lambda: door.scp.associations == 1, "the association opens", 5)
        time.sleep(0.05)
        begun = time.monotonic()
        door.scp.stop(0.5)
        assert 0.4 < time.monotonic() - begun < 3
    assert door.intake.discarded == ["1.2.3"]
    assert door.diary.closed == [("loopback", "aborted")]


def test_no_log_line_holds_a_patients_name(doors: Any, caplog: pytest.LogCaptureFixture) -> None:
    door = doors()
    with caplog.at_level(logging.DEBUG), RawScu(door.port) as scu:
        scu.associate(ONE)
        scu.store(1, MR, "1.2.3", data_set_bytes(mr()))
        door.intake.fail["keep"] = RuntimeError("fault")
        scu.store(1, MR, "../CANARY\nforged line", data_set_bytes(mr()))
        scu.store(1, MR, "1.2.4", data_set_bytes(mr()))
        scu.release()
    assert "CANARY^PATIENT" not in caplog.text
    assert "\nforged" not in caplog.text
