"""One loop for both networks: it learns, goes on where it was cut off, and says what is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models import train  # noqa: E402
from models.augment import draw_batch  # noqa: E402
from models.loop import SIMULATED, Training  # noqa: E402
from models.networks import as_forward, build, load, loss_of  # noqa: E402
from models.other_views import PIG  # noqa: E402
from models.pool import KINDS, Pool  # noqa: E402
from models.recipe import Recipe, read_recipe  # noqa: E402
from tests.models.making import examples  # noqa: E402


def recipe(kind: str = "multitask", **stage) -> Recipe:
    stages = [{"name": "first", "steps": 3, "learning_rate": 1e-3} | stage]
    stages.append({"name": "second", "steps": 2, "learning_rate": 1e-4} | stage)
    network = {"kind": kind, "width": 8, "levels": 3}
    return Recipe.model_validate(
        {"name": "test", "network": network, "batch": 4, "average": 0.5, "stages": stages}
    )


def weights(path: Path):
    return torch.load(path, weights_only=True)["averaged"]


@pytest.mark.parametrize("kind", ["multitask", "simplified"])
def test_both_networks_train_and_answer(tmp_path: Path, kind: str) -> None:
    masks = {"masks": "none"} if kind == "simplified" else {}
    path = Training(recipe(kind, **masks), tmp_path, simulated=examples()).run()
    network, held = load(path)
    assert held.name == "test"
    told = as_forward(network)(np.zeros((3, 1, 128, 128), np.float32))
    assert told.orientation.shape == (3, 8)
    np.testing.assert_allclose(told.masks.sum(1), 1, atol=1e-5)
    lines = (tmp_path / "curves.csv").read_text().splitlines()
    assert lines[0].startswith("0,first,")
    assert (tmp_path / "predictions.png").exists() == (kind == "multitask")


def test_what_was_cut_off_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = Training(recipe(), tmp_path / "whole", simulated=examples()).run()
    part = recipe()
    first = part.model_copy(update={"stages": part.stages[:1]})
    Training(first, tmp_path / "part", simulated=examples()).run()
    again = Training(part, tmp_path / "part", simulated=examples()).run(resume=True)
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(again)[name]), name


@pytest.mark.parametrize(
    ("part", "allowed"),
    [
        ("segmentation", ("unet.",)),
        ("branch", ("branch.", "kinds.")),
        ("kinds", ("kinds.",)),
        ("last", ("branch.head.", "kinds.head.")),
    ],
)
def test_only_the_part_that_learns_changes(
    tmp_path: Path, part: str, allowed: tuple[str, ...]
) -> None:
    start = Training(recipe(), tmp_path / "start", simulated=examples()).run()
    stage = recipe(train=part) if part == "segmentation" else recipe(train=part, masks="none")
    after = Training(stage, tmp_path / "after", simulated=examples(), start=start).run()
    before, learnt = weights(start), weights(after)
    changed = {name for name in before if not torch.equal(before[name], learnt[name])}
    assert {one for one in allowed if any(name.startswith(one) for name in changed)} == {*allowed}
    assert all(name.startswith(allowed) for name in changed)


def test_balanced_kinds_are_shown_equally_often(tmp_path: Path, monkeypatch) -> None:
    rare = np.array([0] * 14 + [3] + [4])
    shown = []

    def noted(given, places, *others):
        shown.extend(given.kind[places])
        return draw_batch(given, places, *others)

    monkeypatch.setattr("models.loop.draw_batch", noted)
    stage = recipe(train="kinds", masks="none", balanced=True, real=0.5, steps=40)
    given = examples(16, kind=rare)
    Training(stage, tmp_path, simulated=given, real=given).run()
    share = np.bincount(shown, minlength=5) / len(shown)
    np.testing.assert_allclose(share[[0, 3, 4]], 1 / 3, atol=0.1)


def test_twenty_steps_learn_something(tmp_path: Path) -> None:
    given = examples(16)
    stage = recipe(steps=25, learning_rate=6e-3).stages[0]
    long = recipe().model_copy(update={"stages": (stage,), "batch": 8})
    batch = draw_batch(
        given, np.arange(16), SIMULATED, np.random.default_rng(9), torch.device("cpu")
    )
    torch.manual_seed(long.seed)
    fresh = build(long.network)
    trained, _ = load(Training(long, tmp_path, simulated=given).run())
    with torch.no_grad():
        before, after = (loss_of(one, batch, stage)["masks"] for one in (fresh, trained.train()))
    assert after < 0.8 * before


def test_only_balanced_stages_see_real_pictures_that_are_no_short_axis(
    tmp_path: Path, monkeypatch
) -> None:
    shown = []

    def noted(given, places, *others):
        shown.extend(given.kind[places])
        return draw_batch(given, places, *others)

    monkeypatch.setattr("models.loop.draw_batch", noted)
    real = examples(8, kind=np.array([0, 4] * 4))
    Training(recipe(real=1.0, steps=10), tmp_path, real=real).run()
    assert set(shown) == {0}


def test_a_pig_and_every_patient_are_left_out_of_one_fold(shared_data: Path) -> None:
    everyone = set(train.patients_of(shared_data).patient)
    out = [everyone - set(train.patients_of(shared_data, fold).patient) for fold in range(5)]
    assert set.union(*out) == everyone
    assert sum(map(len, out)) == len(everyone) == 31
    assert out == [set(names) for names in train.dealt(shared_data)]
    assert PIG in out[0]


def test_missing_examples_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs a pool"):
        Training(recipe(), tmp_path).run()
    with pytest.raises(ValueError, match="needs real patients"):
        Training(recipe(real=0.5), tmp_path, simulated=examples()).run()


@pytest.mark.parametrize("path", sorted(train.RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_can_be_read_and_is_named_as_its_file(path: Path) -> None:
    assert read_recipe(path).name == path.stem


def test_an_unknown_word_in_a_recipe_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.toml"
    path.write_text((train.RECIPES / "multitask-simulated.toml").read_text() + "speed = 9\n")
    assert train.main([str(path), str(tmp_path / "out")]) == 2


def test_the_command_trains_from_a_pool(tmp_path: Path, capsys) -> None:
    given = examples(8)
    pool = Pool(
        images=given.images,
        masks=given.masks,
        kind=np.full(8, KINDS.index("short_axis"), np.uint8),
        sequence=given.sequence,
        right=given.right,
        septal=given.septal,
        spacing=given.spacing,
    )
    pool.save(tmp_path / "pool.npz")
    arguments = ["simplified-transfer", str(tmp_path / "out"), "--steps", "0.001"]
    assert train.main([*arguments, "--pool", str(tmp_path / "pool.npz")]) == 2
    assert "sequences" in capsys.readouterr().err
    arguments[0] = "multitask-simulated"
    assert train.main([*arguments, "--pool", str(tmp_path / "pool.npz"), "--steps", "0.0002"]) == 0
    assert load(tmp_path / "out" / "network.pt")[1].name == "multitask-simulated"
