"""What the log says, and what it keeps to itself."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from cmr_node.errors import StoreBroken
from cmr_node.telemetry import set_up_logging


@pytest.fixture
def root() -> Iterator[None]:
    """The root logger as it was."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_words_of_a_librarys_error_stay_out_of_the_log(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logging(log_format, "INFO")
    log = logging.getLogger("cmr_node.test")
    try:
        try:
            float("DOE^JOHN")
        except ValueError as error:
            raise StoreBroken("the disk\nforged") from error
    except StoreBroken:
        log.exception("study %s cannot be judged", "1.2")
    said = capsys.readouterr().err
    assert "1.2 cannot be judged" in said
    assert "ValueError" in said
    assert "StoreBroken: the disk" in said
    assert "test_telemetry.py" in said  # the frames
    assert "could not convert" not in said
    assert "\nforged" not in said
