"""The folder tool from end to end: what goes in, what comes out, what is never touched.

The tree is odd on purpose: files without an ending, two studies in one folder, a folder for each
file, names that are no UTF-8 or that would style a terminal, and what lies about beside images.
"""

from __future__ import annotations

import html
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import View
from tests.folder_trees import (
    OWN,
    SHORT_AXIS,
    TURNED,
    Record,
    at_work,
    command,
    contents,
    files_in,
    images,
    is_standard,
    numbered,
    record_of,
    relatives,
    reported,
    run,
    state,
    study,
    waited_for,
    write,
)
from tests.samples import mr, part10_bytes

pytestmark = pytest.mark.system

FIELDS = {
    "files", "study", "sequence", "view", "evidence", "network", "header", "crossing",
    "decision", "operation", "reason",
}  # fmt: skip
ODD = "odd<script>"
OUTLANDISH = [
    b"<script>alert(1)<&>\"'",
    b"caf\xe9",  # Latin-1
    b"[red]x[bold]",
    b"new\nline\x1b[31m",
]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write_odd_tree(source: Path) -> None:
    first, second, third = study(1), study(2), study(3)
    write(source / "mixed", first, lambda number: f"IM{number:05d}")
    write(source / "mixed", second, lambda number: f"{number}.IMA")
    write(source / "each", third, lambda number: f"{number}/a/image")
    odd = os.fsencode(source / ODD)
    os.makedirs(odd)
    for name, content in zip(OUTLANDISH, study(4), strict=False):
        Path(os.fsdecode(os.path.join(odd, name))).write_bytes(content)
    Path(os.fsdecode(os.path.join(odd, b"screen\xff[bold]<b>.dcm"))).write_bytes(b"no image")
    (source / "DICOMDIR").write_bytes(bytes(128) + b"DICM and no header that anybody can read")
    (source / "README.txt").write_text("Read me.\n")
    (source / "mixed" / ".DS_Store").write_bytes(b"\0")
    (source / "empty").mkdir()
    for number, path in enumerate(files_in(source)):
        os.utime(path, ns=(10**18, 10**18 + number))


@dataclass(frozen=True)
class Story:
    """One run over the odd tree."""

    source: Path
    target: Path
    code: int
    records: list[Record]
    before: dict[str, tuple[int, ...]]
    sheet: str


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("odd")
    source, target, sheet = folder / "source", folder / "target", folder / "sheet.html"
    write_odd_tree(source)
    before = state(source)
    code, records = reported(
        folder / "report.json", "standardise", source, target, "--sheet", sheet
    )
    return Story(source, target, code, records, before, sheet.read_text())


# The way through


def test_acted_files_are_in_the_standard_view_and_all_others_are_the_same_bytes(
    story: Story,
) -> None:
    before, after = contents(story.source), contents(story.target)
    records = [record for record in story.records if record["decision"] != "refused"]
    assert set(after) == {file for record in records for file in record["files"]}
    for record in records:
        for file in record["files"]:
            if record["decision"] == "act":
                assert after[file] != before[file]
                place = next(p for p in files_in(story.target) if p.read_bytes() == after[file])
                assert is_standard(place)
            else:
                assert after[file] == before[file]
    decisions = Counter(
        {(r["view"], r["decision"]): len(r["files"]) for r in records if ODD not in r["files"][0]}
    )
    assert decisions == {("sax", "act"): SHORT_AXIS, ("2ch", "leave"): 2}
    assert len(records) == 7


def test_nothing_in_the_source_is_touched(story: Story) -> None:
    assert state(story.source) == story.before


def test_every_image_is_in_exactly_one_record_and_nothing_else_is(story: Story) -> None:
    named = Counter(file for record in story.records for file in record["files"])
    expected = set(contents(story.source)) - {"DICOMDIR", "README.txt", "mixed/.DS_Store"}
    assert named == dict.fromkeys(expected, 1)
    assert story.code == 1
    refused = [record for record in story.records if record["decision"] == "refused"]
    assert [record["files"] for record in refused] == [[ODD + r"/screen\xff[bold]<b>.dcm"]]
    assert "DICM" in refused[0]["reason"]


def test_a_record_says_all_that_is_known_and_operation_undoes_the_orientation(
    story: Story,
) -> None:
    assert all(set(record) == FIELDS for record in story.records)
    studies = {str(images(seed)[0].StudyInstanceUID) for seed in (1, 2, 3, 4)}
    assert {record["study"] for record in story.records if record["study"]} == studies
    acted = [record for record in story.records if record["decision"] == "act"]
    assert len(acted) == 4
    for record in acted:
        assert record["network"] is None
        assert set(record["header"]) >= {"orientation", "residual_deg", "margin_deg"}
        stored = Orientation(record["header"]["orientation"])
        assert stored is TURNED
        assert record["operation"] == str(stored.inverse)
        assert record["evidence"]["certain"] is True
        assert record["sequence"] == "cine"
        assert str(TURNED) in record["reason"]
    assert all(record["operation"] == "identity" for record in story.records if record not in acted)


def test_the_report_holds_to_the_published_schema(
    story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run("recognise", "--schema")
    assert ended.value.code == 0
    schema = json.loads(capsys.readouterr().out)
    Draft202012Validator.check_schema(schema)
    judge = Draft202012Validator(schema)
    judge.validate(story.records)
    assert not judge.is_valid([{**story.records[0], "more": 1}])
    assert not judge.is_valid([{k: v for k, v in story.records[0].items() if k != "reason"}])


def test_outlandish_names_stay_text_in_report_and_sheet(story: Story) -> None:
    names = {file for record in story.records for file in record["files"]}
    assert ODD + r"/caf\xe9" in names
    assert ODD + "/new\nline\x1b[31m" in names
    assert "<script" not in story.sheet
    assert html.escape(ODD) in story.sheet
    assert html.escape(r"screen\xff[bold]<b>.dcm") in story.sheet


def test_outlandish_names_neither_style_nor_control_the_terminal(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in OUTLANDISH:
        Path(os.fsdecode(os.fsencode(source) + b"/" + name + b".dcm")).write_bytes(b"no image")
    done = subprocess.run(
        command("recognise", source),
        capture_output=True,
        env=os.environ | {"COLUMNS": "200", "FORCE_COLOR": "1", "TERM": "xterm-256color"},
        timeout=60,
        check=False,
    )
    said = done.stdout.decode()
    assert done.returncode == 1, said + done.stderr.decode()
    assert "[red]x[bold].dcm" in said
    assert r"new\x0aline\x1b[31m.dcm" in said
    assert r"caf\xe9.dcm" in said
    assert "\x1b[31m" not in said.replace(r"\x1b[31m", "")


def test_a_target_is_a_source_in_which_nothing_is_left_to_do(story: Story, tmp_path: Path) -> None:
    again = tmp_path / "again"
    code, records = reported(tmp_path / "r.json", "standardise", story.target, again)
    assert code == 0
    assert {record["decision"] for record in records} == {"leave"}
    assert contents(again) == contents(story.target)


def test_recognise_writes_nothing_but_its_report(tmp_path: Path) -> None:
    source, sheet = tmp_path / "source", tmp_path / "sheet.png"
    write(source, study(1), numbered)
    before = state(source)
    code, records = reported(tmp_path / "r.json", "recognise", source, "--sheet", sheet)
    assert code == 0
    assert {(r["view"], r["decision"], r["operation"]) for r in records} == {
        ("sax", "act", str(TURNED.inverse)),
        ("2ch", "leave", "identity"),
    }
    assert state(source) == before
    assert sheet.read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cache", "r.json", "sheet.png", "source",
    ]  # fmt: skip
    assert not list((tmp_path / "cache" / "cmr-node").iterdir())


def test_a_dry_run_says_what_standardise_does_and_makes_no_target(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    write(source, study(1), numbered)
    said = reported(tmp_path / "dry.json", "standardise", "--dry-run", source, target)
    assert not target.exists()
    assert said == reported(tmp_path / "wet.json", "standardise", source, target)


def test_without_asked_leaves_out_what_a_person_has_to_decide(tmp_path: Path) -> None:
    source, bare, whole = tmp_path / "source", tmp_path / "bare", tmp_path / "whole"
    write(source, study(1), numbered)
    (source / "unknown.dcm").write_bytes(part10_bytes(mr(SeriesDescription="cine")))
    code, records = reported(tmp_path / "r.json", "standardise", source, whole)
    assert code == 1
    assert record_of(records, "unknown.dcm")["decision"] == "ask"
    assert set(contents(whole)) == set(contents(source))
    assert run("standardise", "--without-asked", source, bare) == 1
    assert set(contents(bare)) == set(contents(source)) - {"unknown.dcm"}


@pytest.mark.parametrize("view", [View.SAX, View.TWO_CHAMBER])
def test_a_single_file_may_be_the_source(tmp_path: Path, view: View) -> None:
    source, target = tmp_path / "one" / "image", tmp_path / "target"
    content = study(1)[0 if view is View.SAX else -1]
    source.parent.mkdir()
    source.write_bytes(content)
    (source.parent / "other.dcm").write_bytes(b"not asked for")
    code, (record,) = reported(tmp_path / "r.json", "standardise", source, target)
    assert code == 0
    assert record["files"] == ["image"]
    assert set(contents(target)) == {"image"}
    assert record["view"] == view
    assert (contents(target)["image"] != content) == (view is View.SAX)
    assert is_standard(target / "image", view)


# Interrupted


@dataclass(frozen=True)
class Whole:
    """A source large enough to be interrupted, and what an uninterrupted run makes of it."""

    source: Path
    target: Path
    records: list[Record]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    source, target = folder / "source", folder / "target"
    for seed in range(10, 22):
        write(source / f"{seed}", study(seed), numbered)
    code, records = reported(folder / "r.json", "standardise", source, target, "--workers", "2")
    assert code == 0
    return Whole(source, target, records)


def placed(target: Path) -> dict[Path, tuple[int, int]]:
    """Which files lie in TARGET under their final names."""
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files_in(target)}


def finished(target: Path, copy: Path) -> set[str]:
    """The files of the stacks that the book of an ended run says are done, read from a copy."""
    shutil.copytree(target / OWN, copy)
    book = sqlite3.connect(copy / "book.sqlite")
    rows = book.execute("SELECT record FROM stack").fetchall()
    book.close()
    return {file for (record,) in rows for file in json.loads(record)["files"]}


BLOWS = {"kill -9": signal.SIGKILL, "terminate": signal.SIGTERM, "interrupt": signal.SIGINT}


@pytest.mark.parametrize("blow", ["kill -9", "kill -9 of all", "terminate", "interrupt"])
def test_an_interrupted_run_is_gone_on_with_and_nothing_is_done_again(
    whole: Whole, tmp_path: Path, blow: str
) -> None:
    target, said = tmp_path / "target", tmp_path / "said"
    words = ("standardise", whole.source, target, "--workers", "2")
    with said.open("wb") as file, at_work(*words, stderr=file) as process:
        assert waited_for(lambda: target.exists() and len(files_in(target)) > SHORT_AXIS)
        assert len(relatives(process.pid)) > 2
        if blow == "kill -9 of all":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.send_signal(BLOWS[blow])
        code = process.wait(20)
        assert waited_for(lambda: not relatives(process.pid), 5)
    expected_code = 130 if blow == "interrupt" else -BLOWS.get(blow, signal.SIGKILL)
    assert code == expected_code, said.read_text()
    expected, halfway = contents(whole.target), contents(target)
    assert 0 < len(halfway) < len(expected), "not interrupted in the middle"
    assert halfway.items() <= expected.items()
    before, done = placed(target), finished(target, tmp_path / "book")
    assert done
    code, records = reported(tmp_path / "r.json", "standardise", whole.source, target)
    assert (code, records) == (0, whole.records)
    assert contents(target) == expected
    after = placed(target)
    assert all(after[target / file] == before[target / file] for file in done)
    assert not (target / OWN / "parts").exists()


def test_a_second_run_over_a_finished_target_writes_nothing(whole: Whole, tmp_path: Path) -> None:
    before = placed(whole.target)
    assert reported(tmp_path / "r.json", "standardise", whole.source, whole.target) == (
        0,
        whole.records,
    )
    assert placed(whole.target) == before


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """A source of two studies and its finished target."""
    source, target = tmp_path / "source", tmp_path / "target"
    for seed in (1, 2):
        write(source / f"{seed}", study(seed), numbered)
    assert run("standardise", source, target) == 0
    return source, target


def test_a_file_that_is_new_or_changed_has_its_study_done_again_and_no_other(
    two: tuple[Path, Path],
) -> None:
    source, target = two
    before = placed(target)
    last = images(1)[-1]
    last.SeriesDescription = "cine 2ch again"
    (source / "1" / numbered(5)).write_bytes(part10_bytes(last))
    (source / "3").mkdir()
    write(source / "3", study(3), numbered)
    assert run("standardise", source, target) == 0
    after = placed(target)
    assert {path for path in before if after[path] == before[path]} >= {
        path for path in before if path.parent.name == "2"
    }
    assert (target / "1" / numbered(5)).read_bytes() == part10_bytes(last)
    assert {path.name for path in after if path.parent.name == "3"} == set(map(numbered, range(6)))


def test_a_file_that_is_lost_from_the_target_is_made_again(two: tuple[Path, Path]) -> None:
    source, target = two
    before = contents(target)
    (target / "1" / numbered(0)).unlink()
    shutil.rmtree(target / "2")
    assert run("standardise", source, target) == 0
    assert contents(target) == before


def test_a_second_run_on_the_same_target_is_refused_and_does_no_harm(
    whole: Whole, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "target"
    report = tmp_path / "r.json"
    with at_work("standardise", whole.source, target, "--json", report) as process:
        parts = target / OWN / "parts"
        assert waited_for(lambda: parts.exists() and any(parts.iterdir()))
        process.send_signal(signal.SIGSTOP)
        assert run("standardise", whole.source, target) == 2
        assert "another cmr-node is at work" in capsys.readouterr().err
        assert process.poll() is None
        process.send_signal(signal.SIGCONT)
        code = process.wait(60)
    assert json.loads(report.read_bytes()) == whole.records
    assert code == 0
    assert contents(target) == contents(whole.target)


def test_another_source_with_files_of_the_same_names_sizes_and_times_is_not_taken_for_the_first(
    tmp_path: Path,
) -> None:
    target = tmp_path / "target"
    plain = images(1)[:1] + images(1)[:1]
    plain[1].PixelData = plain[1].PixelData[::-1]  # another patient, of the same size
    for number, ds in enumerate(plain):
        (path,) = write(tmp_path / f"{number}", [part10_bytes(ds)], numbered)
        os.utime(path, (0, 0))  # as zip files and mirrors leave it
    assert run("standardise", tmp_path / "0", target) == 0
    assert run("standardise", tmp_path / "1", tmp_path / "fresh") == 0
    code = run("standardise", tmp_path / "1", target)
    assert code == 2 or contents(target) == contents(tmp_path / "fresh")


def test_a_run_that_is_interrupted_at_once_ends_with_130(whole: Whole, tmp_path: Path) -> None:
    for pause in (0.15, 0.3, 0.45):
        with at_work("standardise", whole.source, tmp_path / "target") as process:
            time.sleep(pause)
            process.send_signal(signal.SIGINT)
            # 130 to a shell, whether the interpreter or the command was told
            assert process.wait(20) in (130, -signal.SIGINT)


def test_what_was_taken_away_after_an_interrupt_is_made_again(whole: Whole, tmp_path: Path) -> None:
    target = tmp_path / "target"
    with at_work("standardise", whole.source, target, "--workers", "1") as process:
        assert waited_for(lambda: target.exists() and files_in(target))
        process.kill()
        process.wait(20)
    for path in files_in(target):
        path.unlink()
    assert run("standardise", whole.source, target) == 0
    assert contents(target) == contents(whole.target)


def test_a_report_never_takes_the_place_of_a_result(whole: Whole, tmp_path: Path) -> None:
    target = tmp_path / "target"
    place = files_in(whole.target)[0].relative_to(whole.target)
    assert run("standardise", whole.source, target, "--json", target / place) == 2
    assert not target.exists()
