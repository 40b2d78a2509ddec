"""The comparison: its rows are what the tests of the same model measure."""

import csv
import json
import shutil
from functools import partial
from pathlib import Path

import pytest
import torch
from mmseg.registry import MODELS

from mmseg_pointrend.apis.configs import prepare_config
from mmseg_pointrend.apis.testing import test as measure
from mmseg_pointrend.evaluation.measures import IoUMeasures
from mmseg_pointrend.lab.ablation.results_table import Row
from mmseg_pointrend.lab.alternatives import compare_alternatives, compare_checkpoints
from mmseg_pointrend.lab.alternatives import comparing as rule
from mmseg_pointrend.lab.alternatives.augmented import COARSE_VIEWS, POINTREND_VIEWS
from mmseg_pointrend.lab.alternatives.methods import COARSE, FIXED, TO_CHOOSE, interpolate
from mmseg_pointrend.lab.alternatives.network_result import decide_probabilities, run_network
from mmseg_pointrend.lab.alternatives.peak_memory import MEMORY, measure_memory
from mmseg_pointrend.lab.labelled_pictures import load_test, true_labels
from tests.engine.kills import write_config

TOOL = "analysis_tools/compare_alternatives.py"
MEASURES = IoUMeasures(whole=True, widths=(2,), distances=(0.02,)).names


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> tuple[Path, Path]:
    """Config and checkpoint of a small model whose coarse and rendered labels differ."""
    folder = tmp_path_factory.mktemp("alternatives")
    config = write_config(folder, iterations=2)
    torch.manual_seed(0)
    model = MODELS.build(prepare_config(config).model)
    for parameter in model.decode_head.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    torch.save(dict(state_dict=model.state_dict()), folder / "weights.pth")
    return config, folder / "weights.pth"


@pytest.fixture
def few_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: dict(list(found.items())[:2]) for name, found in TO_CHOOSE.items()}
    monkeypatch.setattr(rule, "TO_CHOOSE", few)


@pytest.mark.usefixtures("few_settings")
def test_the_rows_are_what_tests_measure(given, tmp_path: Path) -> None:
    found = compare_alternatives(*given, seed=3)
    assert all(row.seed == 3 for row in found.rows)
    rows = {row.variant: row.metrics for row in found.rows}
    assert rows.keys() | found.left_out.keys() == {
        *FIXED, *TO_CHOOSE, COARSE_VIEWS, POINTREND_VIEWS,
    }  # fmt: skip
    assert found.settings.keys() == TO_CHOOSE.keys() - found.left_out.keys()
    points = {"model.decode_head.subdivision.num_points": 32}
    tests = {
        (COARSE, "PointRend"): {},
        (COARSE, "PointRend, N / 2"): dict(options=points),
        (COARSE_VIEWS, POINTREND_VIEWS): dict(tta=True),
    }
    for names, settings in tests.items():
        settings["options"] = settings.get("options", {}) | {
            "test_evaluator": [dict(type="RefinementMetric", widths=(2,))]
        }
        expected = measure(*given, tmp_path / names[1], **settings)
        for name, kind in zip(names, ("coarse", "refined"), strict=True):
            for metric in MEASURES:
                assert rows[name][metric] == pytest.approx(expected[f"{kind}/{metric}"]), name
    assert len({tuple(row[metric] for metric in MEASURES) for row in rows.values()}) > 6
    for name, row in rows.items():
        assert row[rule.WHOLE] > row.get(rule.AFTER, 0) >= 0, name
        assert (rule.AFTER in row) == (name not in (COARSE_VIEWS, POINTREND_VIEWS))


def test_the_best_settings_are_chosen(given) -> None:
    model, dataset = load_test(*given)
    truths = [true_labels(item) for item in (dataset[index] for index in range(len(dataset)))]
    seen = []

    def answer(good: bool):
        def method(_, found) -> torch.Tensor:
            seen.append(found.sample.img_path)
            (truth,) = (t for t, item in zip(truths, dataset, strict=True)
                        if item["data_samples"].img_path == found.sample.img_path)  # fmt: skip
            return truth if good else torch.zeros_like(truth)

        return method

    families = {
        "first": {"right": answer(True), "wrong": answer(False)},
        "second": {"wrong": answer(False), "right": answer(True)},
    }
    chosen = rule.choose_settings(model, dataset, families, count=1)
    assert chosen == {"first": "right", "second": "right"}
    assert len(seen) == 4 and len(set(seen)) == 1


@pytest.mark.parametrize("channels", [None, 1])
def test_probabilities_decide_as_logits_do(given, channels: int | None) -> None:
    """Of one logit, too: probabilities that nothing has filtered are the coarse map."""
    config = prepare_config(given[0], options={"model.decode_head.out_channels": channels})
    torch.manual_seed(1)
    model = MODELS.build(config.model).eval()
    for parameter in model.decode_head.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    _, dataset = load_test(*given)
    found = run_network(model, dataset[0])
    # So that both classes are there.
    centered = found.coarse_logits - found.coarse_logits.mean((2, 3), keepdim=True)
    found = found._replace(coarse_logits=centered)
    with torch.no_grad():
        plain = interpolate(model, found)
        labels = decide_probabilities(model, found.probabilities(enlarged=True), found.sample)
    assert plain.shape == labels.shape == true_labels(dataset[0]).shape
    assert 0 < plain.float().mean() < 1
    assert (plain != labels).float().mean() < 1e-3
    image = dataset[0]["inputs"].flip(0)
    torch.testing.assert_close(255 * found.picture[0], image.float(), atol=1e-3, rtol=0)


@pytest.mark.slow
@pytest.mark.usefixtures("few_settings")
def test_the_tool_writes_means_of_checkpoints(given, call_tool, tmp_path: Path) -> None:
    config, weights = given
    said = call_tool(TOOL, config, weights, weights, "--validation-pictures", 1)
    assert "chosen for guided filter: radius" in said and "| PointRend, 2 N | 2 |" in said
    folder = tmp_path / "work_dirs/alternatives"
    rows = list(csv.DictReader((folder / "alternatives.csv").open()))
    assert [row["seed"] for row in rows[:4]] == ["0", "1", "0", "1"]
    assert rows[0]["mIoU"] == rows[1]["mIoU"]
    said = json.loads((folder / "alternatives.json").read_text())
    assert said["of"]["checkpoints"] == [str(weights)] * 2 and len(said["rows"]) == len(rows)
    assert (folder / "alternatives.png").stat().st_size > 5000


def test_models_beside_are_found(given, tmp_path: Path) -> None:
    """By the place of their seed; a training that is not finished is named."""
    for seed in (0, 2, 10):
        folder = tmp_path / f"runs/other/seed-{seed}"
        (folder / "training").mkdir(parents=True)
        shutil.copy(given[0], folder / "config.py")
        if seed != 10:
            shutil.copy(given[1], folder / "training/iter_2.pth")
    compare = partial(compare_checkpoints, given[0], folder=tmp_path, beside=[folder.parent])
    with pytest.raises(FileNotFoundError, match="seed-10/training/iter_2.pth does not exist"):
        next(compare([given[1]] * 3))
    shutil.copy(given[1], folder / "training/iter_2.pth")
    with pytest.raises(FileNotFoundError, match="other has 3 folders seed-<number>, each"):
        next(compare([given[1]] * 4))


@pytest.mark.usefixtures("few_settings")
def test_models_beside_predict_the_same_pictures(given) -> None:
    """A model beside itself has the row that it has."""
    found = compare_alternatives(*given, trained={"again": given}, validation_pictures=1)
    rows = {row.variant: row.metrics for row in found.rows}
    assert all(rows["again"][name] == rows["PointRend"][name] for name in MEASURES)
    assert rule.AFTER not in rows["again"] and rows["again"][rule.WHOLE] > 0


@pytest.mark.slow
def test_memory_is_that_of_a_process(given) -> None:
    """A guided filter holds three covariances for each class; interpolation does not."""
    settings = {"guided filter": "radius 4 px, epsilon 0.001"}
    rows = [Row("guided filter", 0, {}), Row(POINTREND_VIEWS, 0, {})]
    filtered, views = measure_memory(rows, settings, *given)
    # 67x131 pixels: 2 classes, 3 covariances each, in float32.
    assert filtered.metrics[MEMORY] > 0.1
    assert views.metrics == {}


def test_what_cannot_be_compared_is_named(given, call_tool, tmp_path: Path) -> None:
    config, weights = given
    line = call_tool.fail(TOOL, config, weights, "--validation-pictures", 0)
    assert "validation_pictures must be >= 1, got 0" in line
    slide = ("--cfg-options", "model.test_cfg.mode=slide")
    assert "mode must be 'whole'" in call_tool.fail(TOOL, config, weights, *slide)
    baseline = "fpn_r18-small_1xb4-1k_demo-scenes-128x256"
    assert "has no PointRend head" in call_tool.fail(TOOL, baseline, weights)
