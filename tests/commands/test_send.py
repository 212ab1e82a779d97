from __future__ import annotations

from pathlib import Path

import pytest

from cmr_node.cli import main
from tests.peers import LOOPBACK, storescp
from tests.samples import mr, part10_bytes

pytestmark = pytest.mark.system


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    (folder / "deep").mkdir(parents=True)
    for number in range(3):
        place = folder if number else folder / "deep"
        (place / f"no-extension-{number}").write_bytes(part10_bytes(mr(slice_number=number)))
    (folder / "contour.txt").write_text("1 2\n3 4\n")
    (folder / "DICOMDIR").write_bytes(part10_bytes(mr(slice_number=9)))
    (folder / "loop").symlink_to(folder)
    return folder


def test_a_folder_is_sent_and_what_is_not_dicom_is_passed_over(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with storescp(tmp_path / "peer") as peer:
        address = f"{peer.ae_title}@{LOOPBACK}:{peer.port}"
        assert main(["send", "--to", address, str(study)]) == 0
        assert len(peer.files()) == 3
    said = " ".join(capsys.readouterr().out.split())
    assert "3 of 3 files taken by STORESCP" in said
    assert "1 passed over (not DICOM)" in said


def test_a_named_file_that_is_not_dicom_is_a_failure_with_its_reason(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with storescp(tmp_path / "peer") as peer:
        address = f"{peer.ae_title}@{LOOPBACK}:{peer.port}"
        assert main(["send", "--to", address, str(study / "contour.txt")]) == 1
    assert "DICM" in capsys.readouterr().out


def test_a_peer_that_is_not_there_is_a_failure_not_a_crash(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["send", "--to", f"NOBODY@{LOOPBACK}:1", str(study)]) == 1
    assert "3 not sent" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("asked", ["nobody", "TITLE@host", "TITLE@host:0", "@host:104x"])
def test_an_address_that_is_none_is_refused_with_what_is_allowed(
    study: Path, asked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["send", "--to", asked, str(study)]) == 2
    assert "AETITLE@HOST:PORT" in capsys.readouterr().err


def test_a_path_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["send", "/nowhere/study"]) == 2
    assert "/nowhere/study is not there" in capsys.readouterr().err
