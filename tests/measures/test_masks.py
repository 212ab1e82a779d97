"""Masks that do not fit are refused where they are made."""

import numpy as np
import pytest

from cmr_node.measures.masks import Masks

LABELS = np.zeros((2, 3, 4, 5), np.uint8)
PRESENT = np.ones((2, 3), np.bool_)
SURE = np.ones((2, 3), np.float32)


def test_what_fits_is_taken() -> None:
    assert not Masks(LABELS, PRESENT, SURE).of(1).any()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("labels", "present", "confidence", "words"),
    [
        (LABELS[0], PRESENT, SURE, "slices, phases, rows, columns"),
        (LABELS.astype(np.int16), PRESENT, SURE, "uint8"),
        (LABELS + np.uint8(4), PRESENT, SURE, "label 4"),
        (LABELS, PRESENT[:1], SURE, "present"),
        (LABELS, PRESENT, SURE.astype(float), "confidence float64"),
        (LABELS, PRESENT, 2 * SURE, "0 to 1"),
        (LABELS, PRESENT, np.nan * SURE, "0 to 1"),
        (LABELS + np.uint8(1), ~PRESENT, SURE, "not present"),
    ],
)
def test_what_does_not_fit_is_refused(
    labels: np.ndarray, present: np.ndarray, confidence: np.ndarray, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Masks(labels, present, confidence)
