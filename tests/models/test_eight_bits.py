"""What rounding to eight bits changes is found, not assumed."""

from __future__ import annotations

import pytest

from tests.models.making import examples

pytest.importorskip("torch")
pytest.importorskip("onnx")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_rounded_network_is_smaller_and_draws_nearly_the_same() -> None:
    from models.evaluation.eight_bits import BATCH, rows
    from models.pool import Pool

    made = examples(2 * BATCH)
    pool = Pool(
        images=made.images,
        masks=made.masks,
        kind=made.kind,
        sequence=made.sequence,
        right=made.right,
        septal=made.septal,
        spacing=made.spacing,
    )
    (found,) = rows(pool, threads=1, calibration=BATCH).values()
    assert found["pictures"] == BATCH
    assert found["MB"] < found["MB of fp32"] / 3
    assert 0 < found["pictures with another label"] <= 1
    median, _ = found["Dice of LV, median and 5th centile"]
    assert 0.8 < median < 1
