from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

from cmr_node.batch.report import Record, schema, shown_path, write_report

PUBLISHED = Path(__file__).parents[2] / "deploy" / "report.schema.json"


def record(**changes: object) -> Record:
    plain = Record.of_no_stack([b"a/b.dcm"], "unreadable", "Because.")
    return Record.model_validate(plain.model_dump(by_alias=True) | changes)


FULL = record(
    decision="act",
    operation="rot90cw",
    sequence="cine",
    view="sax",
    study="1.2.3",
    evidence={
        "kind": "turned",
        "certain": True,
        "recognised": [{"what": "TriggerTime", "value": "20", "for": "cine", "weight": 4}],
        "findings": [{"kind": "gap", "text": "20 mm after slice 3"}],
    },
    header={
        "orientation": "rot90ccw",
        "residual_deg": -9.9,
        "margin_deg": 35.1,
        "conditioning": 0.9,
    },
    network={
        "orientation": "rot90ccw",
        "probability": 0.9,
        "probabilities": {"rot90ccw": 0.9, "identity": 0.1},
        "sax": 1.0,
        "doubt": "",
        "mirrored": 0.01,
        "residual_deg": -9.0,
        "septal_deg": None,
        "agreement": 0.8,
        "slices": 5,
    },
    crossing={"best": "identity", "margin": 0.5, "pairs": 9, "scores": {"identity": 0.8}},
)


def test_the_published_schema_is_that_of_the_code() -> None:
    assert json.loads(PUBLISHED.read_text()) == schema()


def test_a_report_is_a_list_that_the_schema_allows(tmp_path: Path) -> None:
    write_report([FULL, record()], tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    jsonschema.validate(report, schema())
    assert [one["decision"] for one in report] == ["act", "refused"]
    assert report[0]["evidence"]["recognised"][0]["for"] == "cine"
    assert report[1]["network"] is report[1]["header"] is report[1]["crossing"] is None


@pytest.mark.parametrize("name", list(Record.model_fields))
def test_the_schema_misses_a_field_that_is_not_there(name: str) -> None:
    facts = FULL.model_dump(mode="json", by_alias=True)
    del facts[name]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate([facts], schema())


def test_an_empty_report_is_an_empty_list(tmp_path: Path) -> None:
    write_report([], tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text()) == []


def test_a_report_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")

    def records() -> object:
        yield FULL
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        write_report(records(), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_that_is_no_utf8_is_shown_and_can_be_read_by_all() -> None:
    assert shown_path(b"caf\xe9/\xc3\xa9") == "caf\\xe9/é"


def test_a_record_does_not_take_what_it_does_not_know() -> None:
    with pytest.raises(ValidationError):
        record(patient="CANARY")


def test_a_refused_record_turns_nothing() -> None:
    refused = FULL.refused_because("It broke.")
    assert (refused.decision, refused.operation, refused.reason) == (
        "refused", "identity", "It broke."
    )  # fmt: skip
    assert refused.header == FULL.header


@pytest.mark.parametrize(
    ("files", "where"),
    [
        (["a/b.dcm"], "a/b.dcm"),
        (["a/b/1", "a/b/2"], "a/b (2 files)"),
        (["a/b/1", "a/c/2"], "a (2 files)"),
        (["1", "2", "x/3"], ". (3 files)"),
    ],
)
def test_a_record_says_where_its_files_are(files: list[str], where: str) -> None:
    assert record(files=files).where == where
