"""Sweeps of detectors: what they vary, what they refuse, and one that really trains."""

import csv
import inspect
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope

from mmseg_pointrend.apis.configs import load_config, shipped_config
from mmseg_pointrend.lab.ablation.run_folder import plan_run
from mmseg_pointrend.lab.ablation.run_sweeps import _writer_of_scenes, run_sweeps
from mmseg_pointrend.lab.ablation.sweeps import (
    AS_CONFIGURED,
    SWEEPS,
    UnknownBaselineError,
    build_sweep,
    fitting_sweeps,
)
from mmseg_pointrend.lab.ablation.tasks import INSTANCE
from tests.instance.tiny_coco import MASK_RCNN, write_config

COCO = shipped_config(f"mask_rcnn/pointrend-{MASK_RCNN}.py")
CITYSCAPES = shipped_config("mask_rcnn/pointrend-mask-rcnn_r50-caffe_fpn_ms-24k_cityscapes.py")
CASCADE = shipped_config("mask_rcnn/pointrend-cascade-mask-rcnn_r50-caffe_fpn_ms-3x_coco.py")
MY_DATASET = shipped_config("mask_rcnn/pointrend-mask-rcnn_r50-caffe_fpn_my-dataset.py")
HEAD = "model.roi_head.mask_head."
NAMES = list(SWEEPS[INSTANCE.title])


@pytest.fixture(scope="module", autouse=True)
def _scope() -> Iterator[None]:
    """The registries' scope is mmdet's, and afterwards what it was."""
    before = dict(DefaultScope._instance_dict)
    init_default_scope("mmdet")
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small config on tiny data, which trains for two epochs, and its baseline beside it."""
    folder = tmp_path_factory.mktemp("pair")
    for name, ours in ((MASK_RCNN, "small_tiny.py"), (COCO.stem, "pointrend-small_tiny.py")):
        shutil.move(write_config(folder, name), folder / ours)
    return folder / "pointrend-small_tiny.py"


def variants(name: str, config: Path = COCO) -> dict[str, dict]:
    """Return what each variant changes, in training and in the test."""
    return {
        variant: training.options | tests
        for training in build_sweep(name, config).trainings
        for variant, tests in training.variants.items()
    }


def plan(config: Path, sweep: str = "strategies", number: int = 0, **settings: object) -> Config:
    """Put the config of a sweep's training together."""
    training = build_sweep(sweep, config, settings.get("options")).trainings[number]
    return Config.fromstring(
        plan_run(training, 3, Path("unused"), config, **settings).config, ".py"
    )


def test_the_papers_tables() -> None:
    name = "mask-rcnn_r50-caffe_fpn_ms-1x"
    assert variants("mask-heads") == {
        name: {},
        f"{name}_pointrend_coarse-masks": {f"{HEAD}subdivision.steps": 2},
        f"{name}_pointrend": {},
    }
    assert variants("resolution-and-points") == {
        "steps-2": {f"{HEAD}subdivision.steps": 2},
        "steps-3": {f"{HEAD}subdivision.steps": 3},
        "steps-4": {f"{HEAD}subdivision.steps": 4},
        "steps-5": {},
        "steps-5_points-14x14": {f"{HEAD}subdivision.num_points": 14 * 14},
        "steps-5_points-28x28": {},
        "steps-5_points-56x56": {f"{HEAD}subdivision.num_points": 56 * 56},
        "steps-5_points-112x112": {f"{HEAD}subdivision.num_points": 112 * 112},
    }
    assert variants("strategies") == {
        "regular-grid": {f"{HEAD}training_points.strategy": "regular-grid"},
        "uniform": {f"{HEAD}training_points.strategy": "uniform"},
        "mildly-biased": {},
        "heavily-biased": {f"{HEAD}training_points.strategy": "heavily-biased"},
    }
    larger = list(variants("larger-models"))
    assert len(larger) == 12 and {one.split("_")[1] for one in larger} == {
        "r50-caffe", "r101-caffe", "x101-32x8d",
    }  # fmt: skip
    assert sum("_ms-1x" in one for one in larger) == 3


def test_sweeps_share_the_training_of_the_config() -> None:
    for name in NAMES:
        own = [one for one in build_sweep(name, COCO).trainings if one.name == AS_CONFIGURED]
        assert len(own) == 1 and own[0].config is None and own[0].options == {}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "larger-models"])
def test_every_variant_builds(name: str, small: Path) -> None:
    for training in build_sweep(name, small).trainings:
        run = plan_run(training, 3, Path("unused"), small)
        for tests in training.variants.values():
            config = Config.fromstring(run.config, ".py")
            config.merge_from_dict(tests)
            head = MODELS.build(config.model).roi_head.mask_head
            changed = training.options | tests
            for key, value in changed.items():
                part, _, setting = key.removeprefix(HEAD).partition(".")
                assert getattr(getattr(head, part), setting) == value
            # What is compared is measured as a variant of its own.
            assert not getattr(head, "predict_coarse", False)


def test_a_baseline_is_not_given_what_is_pointrends(small: Path) -> None:
    options = {f"{HEAD}subdivision.num_points": 500, f"{HEAD}class_agnostic": True}
    baseline, pointrend = (
        plan(small, "mask-heads", number, options=options).model.roi_head.mask_head
        for number in range(2)
    )
    assert baseline.type == "FCNMaskHead" and "subdivision" not in baseline
    assert pointrend.subdivision.num_points == 500
    assert baseline.class_agnostic and pointrend.class_agnostic


def test_what_is_pointrends_is_known() -> None:
    def keywords(name: str) -> set[str]:
        return {*inspect.signature(MODELS.get(name)).parameters}

    # A baseline's head takes the number of classes, the loss and more.
    shared = keywords("FCNMaskHead") | {"num_classes", "class_agnostic", "loss_mask", "init_cfg"}
    assert set(INSTANCE.settings) == keywords("PointRendMaskHead") - shared


def test_masks_are_measured_whatever_the_config_measures(small: Path) -> None:
    kinds = ["bbox", "segm", "boundary"]
    for config in (small, COCO, CITYSCAPES):
        before = load_config(config).test_evaluator
        before = before if isinstance(before, list) else [before]
        after = plan(config).test_evaluator
        assert after[0].type == "InstanceMaskMetric" and after[0].metric == kinds
        assert after[0].ann_file == before[0].ann_file
        assert [one.type for one in after[1:]] == [one.type for one in before[1:]]


def test_schedules_of_iterations_scale_and_epochs_stay() -> None:
    config = plan(CITYSCAPES, iterations=2400)
    assert config.train_cfg.max_iters == 2400 and config.train_cfg.val_interval == 2401
    assert config.param_scheduler[1].milestones == [1800]
    assert config.default_hooks.checkpoint.interval == 240
    config = plan(COCO)
    assert config.train_cfg.max_epochs == 12 and config.train_cfg.val_interval == 13
    assert config.param_scheduler == load_config(COCO).param_scheduler
    checkpoint = config.default_hooks.checkpoint
    assert (checkpoint.by_epoch, checkpoint.interval, checkpoint.max_keep_ckpts) == (True, 1, 2)
    with pytest.raises(ValueError, match=r"for 12 epochs, so iterations=100 cannot be; set train"):
        plan(COCO, iterations=100)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    known = "instance segmentation must be one of .*'mask-heads', 'strategies'.*, got 'coarse-"
    with pytest.raises(ValueError, match=known):
        build_sweep("coarse-heads", COCO)
    with pytest.raises(ValueError, match="must have a PointRend model .*mask_head.subdivision.st"):
        build_sweep("mask-heads", COCO.with_name(f"{MASK_RCNN}.py"))
    with pytest.raises(UnknownBaselineError, match="pointrend-NAME.py with NAME.py beside it"):
        build_sweep("mask-heads", MY_DATASET)
    with pytest.raises(UnknownBaselineError, match="takes mask_rcnn/pointrend-mask-rcnn_r50.*1x_"):
        build_sweep("larger-models", CITYSCAPES)
    assert fitting_sweeps(MY_DATASET) == ["strategies", "resolution-and-points"]
    assert fitting_sweeps(CASCADE) == ["mask-heads", "strategies", "resolution-and-points"]


def test_generated_scenes_are_known_by_type_or_classes() -> None:
    for kind, writer in (
        ("DemoScenesDataset", "write_scenes"),
        ("CalmScenesDataset", "write_calm_scenes"),
    ):
        assert _writer_of_scenes(dict(type=kind)).__name__ == writer
    classes = ("person", "car", "pole", "fence", "plant")
    scenes = dict(type="CocoDataset", metainfo=dict(classes=classes))
    assert _writer_of_scenes(scenes).__name__ == "write_instance_scenes"
    for other in (dict(), dict(metainfo=dict(classes=classes[1:]))):
        assert _writer_of_scenes(dict(type="CocoDataset", **other)) is None


@pytest.mark.slow
def test_a_sweep_trains_and_tests(small: Path, tmp_path: Path, capsys) -> None:
    """Two epochs of two iterations each; the results are those of the tests, in per cent."""
    assert run_sweeps(["mask-heads"], tmp_path, workers=2, config_path=small) == []
    assert "as-configured, seed 0: coco/segm_mAP" in capsys.readouterr().out
    with open(tmp_path / "mask-heads.csv", newline="") as file:
        rows = {row["variant"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["small", "small_pointrend_coarse-masks", "small_pointrend"]
    coarse, rendered = (rows[f"small_pointrend{end}"] for end in ("_coarse-masks", ""))
    metrics = [f"coco/{kind}_{item}" for kind in ("segm", "boundary") for item in ("mAP", "mAP_75")]
    assert {*metrics, "coco/bbox_mAP"} <= rows["small"].keys()
    # The same boxes, other masks.
    assert coarse["coco/bbox_mAP"] == rendered["coco/bbox_mAP"]
    assert (tmp_path / "mask-heads.png").stat().st_size > 5000
    (log,) = tmp_path.glob("runs/as-configured/seed-0/tests/as-trained/*/*.json")
    measured = Config.fromfile(log)
    for name in metrics:
        assert float(rendered[name]) == pytest.approx(100 * measured[name], nan_ok=True)
    # Nothing is trained again.
    assert run_sweeps(["mask-heads"], tmp_path, config_path=small) == []
    assert "2 runs, 2 of them finished before" in capsys.readouterr().out
