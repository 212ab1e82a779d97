"""The real peers that other tests lean on start, answer and go."""

from __future__ import annotations

import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.peers import LOOPBACK, dcmtk, listens, orthanc, postgres, storescp
from tests.samples import mr, part10_bytes

pytestmark = pytest.mark.system


def store(port: int, ae_title: str, path: Path) -> None:
    subprocess.run(
        [dcmtk("storescu"), "-aec", ae_title, LOOPBACK, str(port), str(path)], check=True
    )


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    path = tmp_path / "mr.dcm"
    path.write_bytes(part10_bytes(mr()))
    return path


def test_storescp_keeps_what_it_is_sent_and_leaves_its_port(tmp_path: Path, instance: Path) -> None:
    with storescp(tmp_path / "kept") as peer:
        store(peer.port, peer.ae_title, instance)
        assert len(peer.files()) == 1
    assert not listens(peer.port)


def test_orthanc_says_which_instances_it_holds(instance: Path) -> None:
    with orthanc() as pacs:
        assert pacs.instances() == []
        store(pacs.port, pacs.ae_title, instance)
        assert pacs.sop_instance_uids() == [mr().SOPInstanceUID]
    assert not listens(pacs.port)


def test_postgres_answers_a_query_and_is_gone_afterwards() -> None:
    psycopg = pytest.importorskip("psycopg")
    with postgres() as url, psycopg.connect(url.replace("+psycopg", "")) as connection:
        assert connection.execute("select 6 * 7").fetchone() == (42,)
    port = urlsplit(url).port
    assert port is not None
    assert not listens(port)
