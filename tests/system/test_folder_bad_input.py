"""Bad input to the folder tool: it is named with what was found, and all the rest is done.

One tree holds everything at once, beside good studies.  What cannot be read is refused and not
copied; what is sound and not ours is copied as it is; a stack of which one image is bad is not
turned at all.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    ComprehensiveSRStorage,
    JPEGLSLossless,
    KeyObjectSelectionDocumentStorage,
)

from cmr_node.batch.pool import Died, Pool
from tests.enhanced import enhanced_mr
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
    nifti,
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
from tests.samples import SAX_IOP, mr, orthonormal, part10_bytes
from tests.volumes.making import metaimage, replaced

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


# One tree of all that is bad


@dataclass(frozen=True)
class Bad:
    """What is said of a bad file.

    copied: it is sound, so TARGET has it as it is.
    """

    words: str
    decision: str = "refused"
    copied: bool = False


BAD = {
    "cut-header.dcm": Bad("of 354 bytes"),
    "cut-meta.dcm": Bad(""),
    "cut-pixels.dcm": Bad("pixel data"),
    "zero.dcm": Bad("of 0"),
    "zero-no-ending": Bad("of 0"),
    "noise.dcm": Bad("no DICM at byte 128 of 3000"),
    "to-parent": Bad("a link to a folder is not followed"),
    "to-itself.dcm": Bad("Too many levels of symbolic links"),
    "to-nowhere.dcm": Bad("No such file"),
    "volume.mhd": Bad("second file"),
    "volume.hdr": Bad("second file"),
    "volume.img": Bad("second file"),
    "not-gz.nii.gz": Bad(""),
    "cut_sax.nii.gz": Bad(""),
    "cut_sax.nii": Bad(""),
    "zero.nii": Bad("an empty file"),
    "noise.nii": Bad(""),
    "noise.mha": Bad("header"),
    "rgb.nii": Bad("", copied=True),
    "complex.nii": Bad("", copied=True),
    "elsewhere.mha": Bad("ElementDataFile", copied=True),
    "climbing.mha": Bad("ElementDataFile", copied=True),
    "colour.mha": Bad("channels", copied=True),
    "report.dcm": Bad("instances lie in no stack", "leave", copied=True),
    "key-object.dcm": Bad("instances lie in no stack", "leave", copied=True),
    "colour.dcm": Bad("instances lie in no stack", "leave", copied=True),
}
SOUND = {
    "good/0000.dcm": "act",
    "good/0004.dcm": "leave",
    "8bit/0000.dcm": "act",
    "signed/0000.dcm": "act",
    "cine_sax_float.nii": "act",
    "cine_sax_big_endian.nii": "act",
    "cine_sax_gz.nii.gz": "act",
    "link.dcm": "act",
}
REFUSED = {
    "undecodable": "JPEG",
    "different": "files with different content have SOP Instance UID",
    "taken": "in TARGET something lies in its place",
    "taken-by-folder": "in TARGET something lies in its place",
    "a-file-there": "it has no place in TARGET",
}
"""Folders of studies whose short axis must not be turned, and why."""


def document(sop_class: str, name: str) -> bytes:
    ds = mr(study="documents", series=name, PixelData=None, Rows=None, Columns=None)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = sop_class
    ds.Modality = "KO" if sop_class == KeyObjectSelectionDocumentStorage else "SR"
    ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
    del ds.ImagePositionPatient, ds.ImageOrientationPatient, ds.PixelSpacing
    return part10_bytes(ds)


def recoded(ds: FileDataset, bits: int, signed: int) -> bytes:
    """The same picture in other numbers."""
    values = ds.pixel_array.astype(float)
    values = values / values.max() * (200 if bits == 8 else 3000) - (900 if signed else 0)
    ds.PixelData = values.astype(f"{'i' if signed else 'u'}{bits // 8}").tobytes()
    ds["PixelData"].VR = "OW"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, bits, bits - 1
    ds.PixelRepresentation = signed
    for keyword in ("SmallestImagePixelValue", "LargestImagePixelValue"):
        if keyword in ds:
            del ds[keyword]
    return part10_bytes(ds)


def torn_jpeg_ls(ds: FileDataset) -> bytes:
    ds.compress(JPEGLSLossless, generate_instance_uid=False)
    frame = next(generate_frames(ds.PixelData, number_of_frames=1))
    ds.PixelData = encapsulate([frame[: len(frame) // 2]])
    return part10_bytes(ds)


def write_volumes(source: Path) -> None:
    for name in ("mhd", "hdr", "img"):
        (source / f"volume.{name}").write_bytes(b"half of a volume")
    (source / "not-gz.nii.gz").write_bytes(b"this was never compressed" * 20)
    whole = nifti(source / "cut_sax.nii", 1).read_bytes()
    (source / "cut_sax.nii").write_bytes(whole[:-999])
    (source / "cut_sax.nii.gz").write_bytes(gzip.compress(whole)[:-999])
    (source / "zero.nii").touch()
    (source / "noise.nii").write_bytes(os.urandom(3000))
    (source / "noise.mha").write_bytes(os.urandom(3000))
    nifti(source / "rgb.nii", 1, datatype=128, bitpix=24)
    nifti(source / "complex.nii", 1, datatype=32, bitpix=64)
    nifti(source / "cine_sax_float.nii", 1, TURNED, dtype="float32", scl_slope=2.5)
    nifti(source / "cine_sax_big_endian.nii", 1, TURNED, order=">")
    nifti(source / "cine_sax_gz.nii.gz", 1, TURNED)
    replaced(metaimage(source / "elsewhere.mha"), (b"LOCAL", b"x.raw"))
    replaced(metaimage(source / "climbing.mha"), (b"LOCAL", b"../../../../etc/passwd"))
    colour = SimpleITK.GetImageFromArray(np.zeros((3, 4, 5, 3), "uint8"), isVector=True)
    SimpleITK.WriteImage(colour, str(source / "colour.mha"))


def write_bad_tree(source: Path) -> None:
    write(source / "good", study(1), numbered)
    whole = study(2)[0]
    for name, content in {
        "cut-meta.dcm": whole[:200],
        "cut-header.dcm": whole[:700],
        "cut-pixels.dcm": whole[:-999],
        "zero.dcm": b"",
        "zero-no-ending": b"",
        "noise.dcm": b"\x01" * 3000,
        "report.dcm": document(ComprehensiveSRStorage, "report"),
        "key-object.dcm": document(KeyObjectSelectionDocumentStorage, "key object"),
        "colour.dcm": part10_bytes(
            mr(
                study="colour",
                SamplesPerPixel=3,
                PlanarConfiguration=0,
                PhotometricInterpretation="RGB",
                BitsAllocated=8,
                BitsStored=8,
                HighBit=7,
                PixelData=bytes(24 * 32 * 3),
            )
        ),
        "notes.txt": b"",
    }.items():
        (source / name).write_bytes(content)
    (source / "to-parent").symlink_to("..")
    (source / "to-itself.dcm").symlink_to("to-itself.dcm")
    (source / "to-nowhere.dcm").symlink_to("nowhere")
    outside = source.parent / "outside"
    outside.write_bytes(study(9)[0])
    (source / "link.dcm").symlink_to(outside)
    os.mkfifo(source / "pipe.dcm")
    os.mkfifo(source / "pipe.nii")
    write_volumes(source)
    eight = [recoded(ds, 8, 0) for ds in images(3)[:SHORT_AXIS]]
    signed = [recoded(ds, 16, 1) for ds in images(4)[:SHORT_AXIS]]
    write(source / "8bit", eight, numbered)
    write(source / "signed", signed, numbered)
    write(source / "undecodable", [torn_jpeg_ls(images(5)[0]), *study(5)[1:]], numbered)
    write(source / "twice", [*study(6), *study(6)[:2]], numbered)
    other = images(7)[0]
    other.PixelData = other.PixelData[::-1]
    write(source / "different", [*study(7), part10_bytes(other)], numbered)
    for seed, name in enumerate(("taken", "taken-by-folder", "a-file-there"), start=10):
        write(source / name, study(seed), numbered)
    double = images(13)[0]
    again = deepcopy(double)
    again.StudyInstanceUID += ".1"
    write(source / "in-two-studies", [part10_bytes(double), part10_bytes(again)], numbered)


def write_foreign_things(target: Path) -> None:
    (target / "taken").mkdir(parents=True)
    (target / "taken" / numbered(1)).write_bytes(b"somebody's")
    (target / "taken-by-folder" / numbered(0)).mkdir(parents=True)
    (target / "a-file-there").write_bytes(b"somebody's")


@dataclass(frozen=True)
class Story:
    """One run over the bad tree."""

    source: Path
    target: Path
    code: int
    records: list[Record]
    before: dict[str, tuple[int, ...]]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("bad")
    source, target = folder / "source", folder / "target"
    write_bad_tree(source)
    write_foreign_things(target)
    before = state(source)
    code, records = reported(
        folder / "r.json",
        "standardise",
        source,
        target,
        "--sheet",
        folder / "sheet.html",
        "--workers",
        "2",
    )
    return Story(source, target, code, records, before)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_named_with_what_was_found(story: Story, name: str) -> None:
    bad, record = BAD[name], record_of(story.records, name)
    assert record["decision"] == bad.decision, record["reason"]
    assert bad.words in record["reason"]
    assert len(record["reason"]) > 10
    assert "fault of cmr-node" not in record["reason"]
    assert "died" not in record["reason"]
    target = story.target / name
    assert os.path.lexists(target) == bad.copied
    if bad.copied:
        assert target.read_bytes() == (story.source / name).read_bytes()


@pytest.mark.parametrize("name", SOUND)
def test_all_the_rest_is_done(story: Story, name: str) -> None:
    assert record_of(story.records, name)["decision"] == SOUND[name]
    if name.endswith("0.dcm") or name == "link.dcm":
        assert is_standard(story.target / name)
    assert story.target.joinpath(name).is_file()


@pytest.mark.parametrize("name", REFUSED)
def test_a_stack_with_one_bad_image_is_not_turned_at_all(story: Story, name: str) -> None:
    record = record_of(story.records, f"{name}/0002.dcm")
    assert record["decision"] == "refused"
    assert record["operation"] == "identity"
    assert REFUSED[name] in record["reason"]
    blocked = name not in ("undecodable", "different")
    for number in range(len(study(1))):
        file = f"{name}/{numbered(number)}"
        if (story.target / file).is_file() and file != "taken/0001.dcm":
            assert contents(story.target)[file] == contents(story.source)[file]
        elif number < SHORT_AXIS:
            assert blocked


def test_files_under_one_uid_come_out_as_one_image_or_as_none(story: Story) -> None:
    record = record_of(story.records, "twice/0000.dcm")
    assert record["decision"] == "act"
    assert {"twice/0006.dcm", "twice/0007.dcm"} < set(record["files"])
    twice = story.target / "twice"
    assert (twice / numbered(0)).read_bytes() == (twice / numbered(6)).read_bytes()
    assert is_standard(twice / numbered(0))
    for number in (0, 6):
        record = record_of(story.records, f"different/{numbered(number)}")
        assert "2 files with different content" in record["reason"]
    for number in (0, 1):
        record = record_of(story.records, f"in-two-studies/{numbered(number)}")
        assert record["decision"] == "refused"
        assert "occurs in another study" in record["reason"]


def test_what_somebody_else_put_into_target_is_as_it_was(story: Story) -> None:
    assert (story.target / "taken" / numbered(1)).read_bytes() == b"somebody's"
    assert not list((story.target / "taken-by-folder" / numbered(0)).iterdir())
    assert (story.target / "a-file-there").read_bytes() == b"somebody's"


def test_everything_is_named_once_and_nothing_is_half_done(story: Story) -> None:
    assert story.code == 1
    named = Counter(file for record in story.records for file in record["files"])
    assert set(named.values()) == {1}
    files = {path.relative_to(story.source).as_posix() for path in files_in(story.source)}
    links = {"to-parent", "to-itself.dcm", "to-nowhere.dcm", "link.dcm"}
    assert set(named) == (files | links) - {"notes.txt"}
    assert state(story.source) == story.before
    assert not (story.target / OWN / "parts").exists()
    assert not [path for path in story.target.rglob("*") if path.is_symlink()]


def ended(*words: str | Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """The command, run to its end as a process of its own."""
    return subprocess.run(command(*words), capture_output=True, check=False, timeout=60, **options)


# Disks, limits, deaths


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """A source of some studies, and what is made of it."""
    folder = tmp_path_factory.mktemp("several")
    for seed in range(20, 28):
        write(folder / "source" / f"{seed}", study(seed), numbered)
    assert run("standardise", folder / "source", folder / "target") == 0
    return folder / "source", contents(folder / "target")


def test_a_limit_on_file_sizes_is_named_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    source, target, report = tmp_path / "source", tmp_path / "target", tmp_path / "r.json"
    source.mkdir()
    nifti(source / "cine_sax.nii", 1, TURNED)
    nifti(source / "great_cine_sax.nii", 1, TURNED, repeats=150)
    limit = (4 << 20, 4 << 20)
    done = ended(
        "standardise", source, target, "--json", report,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    records = json.loads(report.read_bytes())
    assert record_of(records, "cine_sax.nii")["decision"] == "act"
    assert record_of(records, "great_cine_sax.nii")["decision"] == "refused"
    assert set(contents(target)) == {"cine_sax.nii"}


def _fatal(context: Any, items: Sequence[int]) -> list[int]:
    if 7 in items:
        os._exit(9)
    return [item + 1 for item in items]


def test_an_item_that_kills_its_reader_costs_that_item_alone() -> None:
    told: dict[int, Any] = {}

    def then(items: Sequence[int], results: Any) -> None:
        told.update(
            dict.fromkeys(items, results)
            if isinstance(results, Died)
            else dict(zip(items, results, strict=True))
        )

    with Pool.open(2, 60, ("text", "ERROR")) as pool:
        for start in range(0, 12, 4):
            pool.submit(_fatal, None, range(start, start + 4), then)
        while pool.busy:
            pool.turn()
    assert told.pop(7) == Died("the process that read it died")
    assert told == {item: item + 1 for item in range(12) if item != 7}


def test_a_worker_that_is_killed_costs_nothing(
    several: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    source, expected = several
    target = tmp_path / "target"
    with at_work("standardise", source, target, "--workers", "2") as process:
        assert waited_for(lambda: any(map(is_worker, relatives(process.pid))))
        os.kill(next(filter(is_worker, relatives(process.pid))), signal.SIGKILL)
        assert process.wait(60) == 0
    assert contents(target) == expected


def is_worker(process: int) -> bool:
    """Whether a process is one of the pool, as its command line tells."""
    try:
        return b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


NO_SUPERPOWERS = "-dac_override,-dac_read_search"


def within_permissions(*words: str | Path) -> int:
    """The exit code of the command, run by somebody who may not read everything, root or not."""
    line = command(*words)
    if os.getuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may read everything, and there is no setpriv")
        given = [f"--bounding-set={NO_SUPERPOWERS}", f"--inh-caps={NO_SUPERPOWERS}"]
        line = ["setpriv", *given, *line]
    return subprocess.run(line, capture_output=True, check=False, timeout=60).returncode


def test_a_file_that_may_not_be_read_is_named_and_not_copied(tmp_path: Path) -> None:
    source, target, report = tmp_path / "source", tmp_path / "target", tmp_path / "r.json"
    write(source / "locked", study(1), numbered)
    (source / "closed.dcm").write_bytes(study(2)[0])
    nifti(source / "cine_sax.nii", 3, TURNED)
    names = ("locked", "closed.dcm", "cine_sax.nii")
    for name in names:
        (source / name).chmod(0)
    code = within_permissions("standardise", source, target, "--json", report)
    (source / "locked").chmod(0o755)
    assert code == 1
    records = json.loads(report.read_bytes())
    assert sorted(file for record in records for file in record["files"]) == sorted(names)
    assert all("Permission denied" in record["reason"] for record in records)
    assert not contents(target)


def test_a_target_that_may_not_be_written_is_refused(tmp_path: Path, source: Path) -> None:
    (tmp_path / "closed").mkdir(0o555)
    assert within_permissions("standardise", source, tmp_path / "closed" / "target") == 2
    assert within_permissions("standardise", source, tmp_path / "closed") == 2
    assert not list((tmp_path / "closed").iterdir())


# Arguments that cannot be used


def refused_words(words: Sequence[str | Path], capsys: pytest.CaptureFixture[str]) -> str:
    assert run(*words) == 2
    return capsys.readouterr().err


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write(tmp_path / "source", study(1), numbered)
    return tmp_path / "source"


@pytest.mark.parametrize(
    "place", ["source/target", "source", ".", "link", "link/below", "source/../source"]
)
def test_target_and_source_must_not_lie_in_each_other(
    tmp_path: Path, source: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "link").symlink_to("source")
    before = state(tmp_path)
    assert "must not lie in each other" in refused_words(
        ["standardise", source, tmp_path / place], capsys
    )
    assert state(tmp_path) == before


BAD_WORDS: dict[str, tuple[list[str], str]] = {
    "a report in SOURCE": (["recognise", "source", "--json", "source/r.json"], "lies in SOURCE"),
    "a sheet in SOURCE": (["recognise", "source", "--sheet", "source/s.png"], "lies in SOURCE"),
    "a report in SOURCE by a link": (["recognise", "source", "--json", "link/r.json"], "SOURCE"),
    "a sheet of another kind": (["recognise", "source", "--sheet", "s.pdf"], ".png or .html"),
    "a report in no folder": (["recognise", "source", "--json", "none/r.json"], "no folder"),
    "no SOURCE": (["recognise", "none"], "is not there"),
    "SOURCE without an image": (["recognise", "texts"], "holds no DICOM"),
    "SOURCE without a file": (["recognise", "folder"], "holds no DICOM"),
    "TARGET is a file": (["standardise", "source", "texts/a.txt"], "is a file"),
    "no workers": (["recognise", "source", "--workers", "0"], "1 or more"),
    "the network accepted for nothing": (["recognise", "source", "--accept-network"], "untrusted"),
}


@pytest.mark.parametrize("name", BAD_WORDS)
def test_arguments_that_cannot_be_used_end_with_2_and_change_nothing(
    tmp_path: Path,
    source: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "link").symlink_to("source")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("text")
    (tmp_path / "folder").mkdir()
    (tmp_path / "cache" / "cmr-node").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    def there() -> tuple[set[str], dict[str, tuple[int, ...]]]:
        return {name for name in contents(tmp_path) if not name.startswith("cache/")}, state(source)

    before = there()
    words, why = BAD_WORDS[name]
    assert why in refused_words(words, capsys)
    assert there() == before


def test_a_source_without_an_image_makes_no_target(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a.txt").write_text("text")
    said = refused_words(["standardise", tmp_path / "source", tmp_path / "target"], capsys)
    assert "nothing was done" in said
    assert not (tmp_path / "target").exists()


# Found by trying


def test_what_was_refused_for_want_of_a_place_is_done_once_there_is_one(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    write(source, study(1), numbered)
    target.mkdir()
    (target / numbered(0)).write_bytes(b"somebody's")
    assert run("standardise", source, target) == 1
    (target / numbered(0)).unlink()
    assert run("standardise", source, target) == 0
    assert len(contents(target)) == len(study(1))
    assert is_standard(target / numbered(0))


def test_a_volume_that_could_not_be_read_is_read_once_it_can(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    nifti(source / "cine_sax.nii", 3, TURNED).chmod(0)
    assert within_permissions("standardise", source, target) == 1
    (source / "cine_sax.nii").chmod(0o644)
    assert within_permissions("standardise", source, target) == 0


@contextmanager
def small_disk(place: Path, kibibytes: int) -> Iterator[Path]:
    """A disk that is full soon; skips where none can be mounted."""
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "small", place],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted: {mounted.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_is_named_in_the_report_and_leaves_nothing_half_written(
    several: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    source, expected = several
    with small_disk(tmp_path / "disk", 500) as disk:
        report = tmp_path / "r.json"
        done = ended("standardise", source, disk / "target", "--json", report)
        assert done.returncode == 1
        assert report.exists(), done.stderr
        refused = [one for one in json.loads(report.read_bytes()) if one["decision"] == "refused"]
        assert refused
        assert all("No space left" in record["reason"] for record in refused)
        there = contents(disk / "target")
        before = contents(source)
        assert 0 < len(there) < len(expected)
        assert all(there[name] in (expected[name], before[name]) for name in there)
        subprocess.run(["mount", "-o", "remount,size=10m", disk], check=True)
        assert run("standardise", source, disk / "target") == 0
        assert contents(disk / "target") == expected


def test_a_report_never_takes_the_place_of_the_source(tmp_path: Path) -> None:
    (path,) = write(tmp_path, study(1)[:1], numbered)
    assert run("recognise", path, "--json", path) == 2
    assert path.read_bytes() == study(1)[0]


def test_a_report_that_is_a_folder_is_refused_before_anything_is_done(
    tmp_path: Path, source
) -> None:
    (tmp_path / "folder").mkdir()
    assert run("standardise", source, tmp_path / "target", "--json", tmp_path / "folder") == 2
    assert not (tmp_path / "target").exists()


def test_a_source_without_an_image_leaves_no_book_in_the_cache(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert run("recognise", tmp_path / "empty") == 2
    assert not contents(tmp_path / "cache")


def test_a_link_in_target_does_not_lead_a_result_into_the_source(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    write(source / "a", study(1), numbered)
    (source / "b").mkdir()
    target.mkdir()
    (target / "a").symlink_to(source / "b")
    before = state(source)
    code, records = reported(tmp_path / "r.json", "standardise", source, target)
    assert state(source) == before
    assert code == 1
    assert record_of(records, "a/0000.dcm")["decision"] == "refused"


def test_a_uid_that_turns_up_in_another_study_later_is_no_image_in_either(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    first = images(1)[0]
    second = deepcopy(first)
    second.StudyInstanceUID += ".1"
    write(source / "first", [part10_bytes(first)], numbered)
    assert run("standardise", source, target) == 0
    write(source / "second", [part10_bytes(second)], numbered)
    later = reported(tmp_path / "later.json", "standardise", source, target)
    assert later == reported(tmp_path / "once.json", "standardise", source, tmp_path / "once")
    shutil.rmtree(source / "second")
    assert run("standardise", source, target) == 0
    assert is_standard(target / "first" / numbered(0))


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A source with an image below 1200 folders in each other; Python could not remove it."""
    folder = os.open(tmp_path, os.O_RDONLY)
    for step in ["source", *["d"] * 1200]:
        os.mkdir(step, dir_fd=folder)
        below = os.open(step, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    file = os.open("a.dcm", os.O_WRONLY | os.O_CREAT, dir_fd=folder)
    os.write(file, study(1)[0])
    os.close(file)
    os.close(folder)
    yield tmp_path / "source"
    subprocess.run(["rm", "-rf", tmp_path / "source", tmp_path / "target"], check=True)


def test_folders_deep_in_each_other_do_not_end_the_run(deep: Path, tmp_path: Path) -> None:
    (deep / "b.dcm").write_bytes(study(2)[0])
    code, records = reported(tmp_path / "r.json", "standardise", deep, tmp_path / "target")
    assert record_of(records, "b.dcm")["decision"] == "act"
    assert (code, len(records)) in ((0, 2), (1, 2))


def test_what_a_run_keeps_for_itself_never_lies_in_the_source(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(source / ".cache"))
    before = state(source)
    assert run("recognise", source) in (0, 2)
    assert state(source) == before


def test_a_multi_frame_image_whose_frames_make_two_stacks_is_copied_once(tmp_path: Path) -> None:
    ds = enhanced_mr(slices=2, phases=2)
    shared = ds.SharedFunctionalGroupsSequence[0]
    plain = shared.PlaneOrientationSequence
    del shared.PlaneOrientationSequence
    other = deepcopy(plain)
    other[0].ImageOrientationPatient = orthonormal(SAX_IOP[3:] + SAX_IOP[:3])
    for number, group in enumerate(ds.PerFrameFunctionalGroupsSequence):
        group.PlaneOrientationSequence = deepcopy(plain if number < 2 else other)
    write(tmp_path / "source", [part10_bytes(ds)], numbered)
    _, records = reported(
        tmp_path / "r.json", "standardise", tmp_path / "source", tmp_path / "target"
    )
    assert [record["files"] for record in records] == [[numbered(0)]] * 2
    assert contents(tmp_path / "target") == contents(tmp_path / "source")


def test_what_an_earlier_run_turned_does_not_stay_when_it_is_asked_now(
    tmp_path: Path, source: Path
) -> None:
    target = tmp_path / "target"
    assert run("standardise", source, target) == 0
    words = ("standardise", "--header", "untrusted", "--without-asked", source)
    run(*words, target)
    run(*words, tmp_path / "fresh")
    assert contents(target) == contents(tmp_path / "fresh")


def test_a_result_that_somebody_wrote_over_is_not_said_to_be_done(
    tmp_path: Path, source: Path
) -> None:
    target = tmp_path / "target"
    assert run("standardise", source, target) == 0
    (target / numbered(0)).write_bytes(b"somebody's")
    code, records = reported(tmp_path / "r.json", "standardise", source, target)
    assert (target / numbered(0)).read_bytes() == b"somebody's"
    assert code == 1
    assert record_of(records, numbered(0))["decision"] == "refused"


def test_a_report_goes_where_a_link_leads_and_leaves_the_link(tmp_path: Path, source: Path) -> None:
    (tmp_path / "link").symlink_to("/proc/self/fd/1")  # as /dev/stdout is one
    run("recognise", source, "--json", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()


def test_a_name_that_the_terminal_cannot_show_does_not_end_the_run(tmp_path: Path) -> None:
    write(tmp_path / "source", [b"no image"], lambda number: "\u65e5\u672c.dcm")
    done = ended("recognise", tmp_path / "source", env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert b"Traceback" not in done.stderr
    assert b"images in 1 stacks" in done.stdout
