"""Nothing is learnt about what nobody drew."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from models import losses  # noqa: E402

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(2, 4, 8, 8, generator=GENERATOR)
MASKS = torch.randint(0, 3, (2, 8, 8), generator=GENERATOR)


@pytest.mark.parametrize("loss", losses.MASKS.values())
def test_an_unknown_structure_may_lie_anywhere_in_the_background(loss) -> None:
    known = torch.tensor([[True, True, False]] * 2)
    moved = LOGITS.clone()
    both = torch.logsumexp(LOGITS[:, [0, 3]], 1)
    moved[:, 0], moved[:, 3] = both - 3.0, both + torch.log1p(-torch.exp(torch.tensor(-3.0)))
    assert loss(moved, MASKS, known) == pytest.approx(float(loss(LOGITS, MASKS, known)), rel=1e-4)
    assert abs(loss(moved, MASKS, known | True) - loss(LOGITS, MASKS, known | True)) > 1e-4


@pytest.mark.parametrize("loss", losses.MASKS.values())
def test_the_truth_costs_least(loss) -> None:
    known = torch.ones(2, 3, dtype=torch.bool)
    truth = torch.nn.functional.one_hot(MASKS, 4).permute(0, 3, 1, 2).float() * 20
    assert loss(truth, MASKS, known) < 0.1 * loss(LOGITS, MASKS, known)


def test_a_small_cavity_counts_as_much_as_a_large_one() -> None:
    masks = torch.zeros(2, 16, 16, dtype=torch.long)
    masks[0, 2:14, 2:14], masks[1, 7:9, 7:9] = 1, 1
    truth = torch.nn.functional.one_hot(masks, 4).permute(0, 3, 1, 2).float() * 20
    known = torch.ones(2, 3, dtype=torch.bool)
    missed = truth.clone()
    missed[1] = 0
    missed[1, 0] = 20
    over_batch = losses.MASKS["dice"](missed, masks, known)
    of_each = losses.MASKS["dice of each"](missed, masks, known)
    assert of_each > over_batch + 0.1
    assert losses.MASKS["dice of each"](truth, masks, known) < 1e-3


def test_pictures_without_truth_cost_nothing() -> None:
    logits = torch.randn(3, 8, generator=GENERATOR, requires_grad=True)
    nowhere = torch.zeros(3, dtype=torch.bool)
    told = [
        losses.orientation_loss(logits, torch.zeros(3, 8)),
        losses.mirrored_loss(logits[:, 0], nowhere, nowhere),
        losses.direction_loss(logits.reshape(3, 4, 2)[:, :2], torch.full((3, 2, 2), torch.nan)),
        losses.kind_loss(logits[:, :5], torch.full((3,), -1)),
    ]
    assert [float(one.detach()) for one in told] == [0.0] * 4
    torch.stack(told).sum().backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_unknown_pictures_do_not_dilute_the_known() -> None:
    logits, weights = torch.randn(4, 8, generator=GENERATOR), torch.eye(8)[:4]
    alone = losses.orientation_loss(logits[:2], weights[:2])
    beside = losses.orientation_loss(logits, weights * torch.tensor([1, 1, 0, 0])[:, None])
    assert alone == pytest.approx(float(beside))
