"""Real pictures that are no short axis: whose they are and what is known of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from models.other_views import PIG, other_views
from models.pool import KINDS


def test_each_names_its_patient_and_tells_its_kind_alone(shared_data: Path) -> None:
    found = other_views(shared_data)
    kinds = {
        name: {KINDS[kind] for kind in found.kind[found.patient == name]}
        for name in set(found.patient)
    }
    assert kinds == {"SC-HF-I-01": {"other"}, "SC-HF-I-04": {"other"}, PIG: {"long_axis"}}
    assert np.bincount(found.kind).tolist() == [0, 0, 0, 40, 30]
    assert not found.known.any()
    assert np.isnan(found.right).all()
    assert found.images.dtype == np.uint8
    assert (found.images.reshape(len(found), -1).max(1) == 255).all()
    assert np.unique(found.spacing) == pytest.approx([0.8203, 1.5625, 1.6797])


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="localizer"):
        other_views(tmp_path)
