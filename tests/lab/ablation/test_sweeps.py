"""What the sweeps vary: every option fits the model, and every variant differs from the others."""

import functools
import inspect
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import nn

from mmseg_pointrend.apis.configs import shipped_config
from mmseg_pointrend.core import MARGINS
from mmseg_pointrend.lab.ablation.run_folder import merge_runs, plan_run
from mmseg_pointrend.lab.ablation.run_sweeps import DEFAULT_CONFIG
from mmseg_pointrend.lab.ablation.sweeps import (
    AS_CONFIGURED,
    SWEEPS,
    build_sweep,
    fitting_sweeps,
)
from mmseg_pointrend.lab.ablation.sweeps.head_settings import POINT_SHARES
from mmseg_pointrend.lab.ablation.tasks import SEMANTIC

SCENES = shipped_config(DEFAULT_CONFIG)
CITYSCAPES = shipped_config("pointrend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py")
ADE20K = shipped_config("pointrend/pointrend_r101_4xb4-160k_ade20k-512x512.py")
HEAD = "model.decode_head."
CAMVID = shipped_config("pointrend/pointrend_efficientnet-lite0_1xb2-500_camvid-360x480.py")
HORSES = shipped_config("pointrend/pointrend_efficientnet-lite0-p3p5_1xb4-500_horses-256x256.py")
# The sweeps that take the scenes.
NAMES = [name for name in SWEEPS[SEMANTIC.title] if name != "two-classes"]


def variants(name: str, config: Path = SCENES) -> dict[str, dict]:
    """Return what each variant changes, in training and in the test."""
    return {
        variant: training.options | tests
        for training in build_sweep(name, config).trainings
        for variant, tests in training.variants.items()
    }


@pytest.fixture(autouse=True)
def _scope() -> None:
    init_default_scope("mmseg")


def at(config: Config, key: str) -> object:
    return functools.reduce(lambda node, part: node[part], key.split("."), config)


@functools.cache
def build_all(name: str) -> dict[str, nn.Module]:
    """Build the model of every variant of a sweep, and check that its options are in its config."""
    sweep, built = build_sweep(name, SCENES), {}
    for training in sweep.trainings:
        run = plan_run(training, 3, Path("unused"), SCENES, 4)
        for variant, tests in training.variants.items():
            config = Config.fromstring(run.config, ".py")
            config.merge_from_dict(tests)
            for key, value in (training.options | tests).items():
                assert at(config, key) == value
            built[variant] = MODELS.build(config.model)
    return built


@pytest.mark.parametrize("name", NAMES)
def test_every_variant_builds(name: str) -> None:
    built = build_all(name)
    assert list(built) == list(variants(name)) and len(built) >= 3


def test_the_built_models_are_what_the_variants_name() -> None:
    """The options arrive in the models, not only in the config."""
    heads = {name: model.decode_head for name, model in build_all("point-head").items()}
    base = heads.pop("as-configured_depth-3_width-64_relu")
    assert [len(heads[f"depth-{depth}"].point_head.fcs) for depth in (0, 1, 5)] == [0, 1, 5]
    assert heads["width-256"].point_head.fcs[0].conv.out_channels == 256
    assert type(heads["elu"].point_head.fcs[0].activate).__name__ == "ELU"
    assert heads["coarse-at-fine"].coarse_at_fine and not base.coarse_at_fine
    assert base.point_head.fc_seg.in_channels == 64 + 9
    assert len(base.point_head.fcs) == 3 and len(heads) == 6
    for name, model in build_all("strategies").items():
        own = name == "mildly-biased"
        assert model.decode_head.training_points.strategy == (None if own else name)
    for name, model in build_all("uncertainty").items():
        assert model.decode_head.margin is MARGINS[name.rpartition("-")[2]]


def test_the_papers_tables() -> None:
    assert list(variants("strategies")) == [
        "regular-grid", "uniform", "mildly-biased", "heavily-biased",
    ]  # fmt: skip
    sweep = build_sweep("resolution-and-points", SCENES)
    assert len(sweep.trainings) == 1, "Table 3 needs no second training"
    changed = variants("resolution-and-points")
    assert [changed[f"steps-{steps}"] for steps in range(4)] == [
        *({HEAD + "subdivision.steps": steps} for steps in range(3)), {},
    ]  # fmt: skip
    assert changed["steps-3_points-1-of-16"] == {HEAD + "subdivision.num_points": 1 / 16}
    for training in MARGINS:
        for test in MARGINS:
            options = variants("uncertainty")[f"train-{training}_test-{test}"]
            assert options.get(HEAD + "uncertainty", "logit") == test


def test_the_config_as_it_is_is_trained_once_for_all_sweeps(tmp_path: Path) -> None:
    runs = {
        name: [
            plan_run(training, 0, tmp_path, SCENES)
            for training in build_sweep(name, SCENES).trainings
        ]
        for name in NAMES
    }
    own = [run for runs in runs.values() for run in runs if run.training == AS_CONFIGURED]
    assert len(own) == len(NAMES)
    assert len({run.folder for run in own}) == len({run.config for run in own}) == 1
    (merged,) = merge_runs(own)
    assert {} in merged.tests and len(merged.tests) == 3 + len(POINT_SHARES) + 2
    # Another training has another name, in whichever sweep.
    texts = {run.folder: run.config for runs in runs.values() for run in runs}
    assert len(set(texts.values())) == len(texts)
    # A config that names its strategy, or its numbers.
    for points, variant in (
        ({"strategy": "uniform"}, "uniform"),
        ({"oversample_ratio": 10, "importance_sample_ratio": 1}, "heavily-biased"),
    ):
        options = {f"{HEAD}training_points.{key}": value for key, value in points.items()}
        trainings = build_sweep("strategies", SCENES, options).trainings
        (as_it_is,) = (training for training in trainings if training.name == AS_CONFIGURED)
        assert list(as_it_is.variants) == [variant] and len(trainings) == 4


def test_tests_of_the_weights_at_another_stride(tmp_path: Path) -> None:
    for config, changed in (
        (SCENES, {"strides": (1, 2, 1, 1), "dilations": (1, 1, 2, 4)}),
        (
            CITYSCAPES,
            {"strides": (1, 2, 1, 1), "dilations": (1, 1, 2, 4), "multi_grid": (4, 8, 16)},
        ),
    ):
        sweep = build_sweep("coarse-heads", config)
        training = sweep.trainings[0]
        (d16, same), (d8, options) = training.variants.items()
        assert d16.endswith("-d16") and d8 == d16[:-2] + "8" and same == {}
        head = {key: value for key, value in options.items() if key.startswith(HEAD)}
        assert list(head) == [HEAD + "dilations"] and head[HEAD + "dilations"][0] == 1
        backbone = {key.rpartition(".")[2]: options[key] for key in options if key not in head}
        assert backbone == changed
        run = plan_run(training, 0, tmp_path, config)
        tested = Config.fromstring(run.config, ".py")
        tested.merge_from_dict(options)
        assert tested.model.decode_head.dilations == head[HEAD + "dilations"]


def test_other_data_sets() -> None:
    assert list(variants("coarse-heads", CITYSCAPES)) == [
        "deeplabv3-r103-d16", "deeplabv3-r103-d8",
        "deeplabv3-r103-d16_pointrend_coarse-map", "deeplabv3-r103-d16_pointrend",
        "fpn-r50-p2p5", "fpn-r50-p2p5_pointrend_coarse-map", "fpn-r50-p2p5_pointrend",
        "fpn-r101-p2p5", "fpn-r101-p2p5_pointrend_coarse-map", "fpn-r101-p2p5_pointrend",
        "fpn-r101-p3p5", "fpn-r101-p3p5_pointrend_coarse-map", "fpn-r101-p3p5_pointrend",
    ]  # fmt: skip
    assert list(variants("boundary-widths", ADE20K)) == [
        "fpn-r101-p2p5", "fpn-r101-p2p5_pointrend_coarse-map", "fpn-r101-p2p5_pointrend",
    ]  # fmt: skip
    assert list(variants("coarse-heads", CAMVID)) == [
        "deeplabv3-lite0-d16", "deeplabv3-lite0-d8",
        "deeplabv3-lite0-d16_pointrend_coarse-map", "deeplabv3-lite0-d16_pointrend",
        "fpn-lite0-p2p5", "fpn-lite0-p2p5_pointrend_coarse-map", "fpn-lite0-p2p5_pointrend",
        "fpn-lite0-p3p5", "fpn-lite0-p3p5_pointrend_coarse-map", "fpn-lite0-p3p5_pointrend",
    ]  # fmt: skip
    assert fitting_sweeps(CAMVID) == NAMES
    point_head = variants("point-head", CITYSCAPES)
    assert "width-64" in point_head and "width-256" not in point_head


def test_other_decoders_are_trained_like_the_baseline(tmp_path: Path) -> None:
    """All that differs is the head, and what registers it."""
    for config, enlargements in ((SCENES, 1), (CAMVID, 0)):
        baseline, *others, pointrend = build_sweep("alternatives", config).trainings
        assert pointrend.name == AS_CONFIGURED and baseline.name in others[0].name
        texts = [
            Config.fromstring(plan_run(one, 3, tmp_path, config).config, ".py")
            for one in (baseline, *others)
        ]
        assert [text.model.decode_head.type for text in texts] == [
            "FPNHead", "RefinedFPNHead", "UpsamplingFPNHead", "UpsamplingFPNHead",
        ]  # fmt: skip
        for text in texts[2:]:
            assert text.model.decode_head.enlargements == enlargements
        for text in texts[1:]:
            added = {"type", "fine_index", "fine_channels", "upsampling", "enlargements"}
            for head in (text.model.decode_head, texts[0].model.decode_head):
                for key in added & head.keys():
                    head.pop(key)
            text.custom_imports = texts[0].custom_imports
            text.model.decode_head.type = texts[0].model.decode_head.type = "FPNHead"
            assert text.to_dict() == texts[0].to_dict()
    deeplab = "pointrend/pointrend-deeplabv3_r18-small-d16_1xb4-1k_demo-scenes-128x256.py"
    assert "alternatives" not in fitting_sweeps(shipped_config(deeplab))


def test_two_classes(tmp_path: Path) -> None:
    assert fitting_sweeps(HORSES) == [*NAMES, "two-classes"]
    assert list(variants("coarse-heads", HORSES)) == [
        f"fpn-lite0-p3p5{logits}{end}"
        for logits in ("", "-two-logits")
        for end in ("", "_pointrend_coarse-map", "_pointrend")
    ]
    heads = {}
    for training in build_sweep("two-classes", HORSES).trainings:
        run = plan_run(training, 0, tmp_path, HORSES)
        (variant,) = training.variants
        heads[variant] = MODELS.build(Config.fromstring(run.config, ".py").model).decode_head
    assert {name: head.out_channels for name, head in heads.items()} == {
        "as-configured_one-logit": 1, "two-logits": 2, "depth-1": 1, "elu": 1,
        "coarse-at-fine": 1, "practice": 1,
    }  # fmt: skip
    for name, head in heads.items():
        layers, practice = head.point_head.fcs, name == "practice"
        assert len(layers) == (1 if practice or name == "depth-1" else 3)
        elu = type(layers[0].activate).__name__ == "ELU"
        assert elu == (practice or name == "elu")
        assert head.coarse_at_fine == (practice or name == "coarse-at-fine")
    # A config that is a variant already, and one with other classes.
    practice = HORSES.with_name(HORSES.name.replace("p3p5", "p3p5-practice"))
    assert list(variants("two-classes", practice)) == ["as-configured_one-logit", "two-logits"]
    with pytest.raises(ValueError, match="has 9 classes; this sweep compares two"):
        build_sweep("two-classes", SCENES)


def test_trainings_of_two_sweeps_are_the_same_by_the_same_name(tmp_path: Path) -> None:
    found: dict[str, str] = {}
    for name in ("two-classes", "point-head"):
        for training in build_sweep(name, HORSES).trainings:
            run = plan_run(training, 0, tmp_path, HORSES)
            assert found.setdefault(training.name, run.config) == run.config


def test_numbers_of_the_config_give_way_to_a_strategys_name(tmp_path: Path) -> None:
    options = {HEAD + "training_points.oversample_ratio": 4}
    for training in build_sweep("strategies", SCENES, options).trainings:
        run = plan_run(training, 0, tmp_path, SCENES, options=options)
        MODELS.build(Config.fromstring(run.config, ".py").model)


def test_a_baseline_is_not_given_what_is_pointrends(tmp_path: Path) -> None:
    options = {
        HEAD + "subdivision.num_points": 500,
        HEAD + "num_classes": 5,
        "model.predict_coarse": True,
    }
    baseline, pointrend = build_sweep("boundary-widths", SCENES, options).trainings
    for training in (baseline, pointrend):
        run = plan_run(training, 0, tmp_path, SCENES, options=options)
        config = Config.fromstring(run.config, ".py")
        assert MODELS.build(config.model).num_classes == 5
    assert config.model.decode_head.subdivision.num_points == 500
    assert not config.model.predict_coarse, "the coarse map is a variant of its own"


def test_metrics_of_the_same_class_are_replaced_however_they_are_named(tmp_path: Path) -> None:
    trimap = dict(type="mmseg.TrimapIoUMetric", widths=(3,), ignore_index=0)
    options = {"test_evaluator": [dict(type="mmseg.IoUMetric"), trimap]}
    training = build_sweep("strategies", SCENES, options).trainings[0]
    run = plan_run(training, 0, tmp_path, SCENES, options=options)
    metrics = Config.fromstring(run.config, ".py").test_evaluator
    types = [metric.type for metric in metrics]
    assert types == ["mmseg.IoUMetric", "TrimapIoUMetric", "BoundaryIoUMetric"]
    assert [metric.get("ignore_index") for metric in metrics] == [None, 0, 0]


def test_what_is_pointrends_is_known() -> None:
    def keywords(kind: type) -> set[str]:
        return {
            name
            for name, parameter in inspect.signature(kind).parameters.items()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD and name != "args"
        }

    # What the head hands on to its coarse head, a baseline's head takes too.
    shared = {"num_classes", "out_channels", "threshold", "ignore_index", "init_cfg"}
    head = keywords(MODELS.get("PointRendHead")) - shared
    expected = {HEAD + name for name in head}
    expected |= {f"model.{name}" for name in keywords(MODELS.get("PointRend"))}
    assert set(SEMANTIC.pointrend_options) == expected


def test_the_schedule_scales_and_the_metrics_stay(tmp_path: Path) -> None:
    training = build_sweep("strategies", CITYSCAPES).trainings[0]
    run = plan_run(training, 5, tmp_path, CITYSCAPES, 8000)
    config = Config.fromstring(run.config, ".py")
    assert config.randomness.seed == 5
    assert config.train_cfg.max_iters == 8000 and config.train_cfg.val_interval == 8001
    # 200 of 80000 iterations of warm-up
    assert [(part.begin, part.end) for part in config.param_scheduler] == [(0, 20), (20, 8000)]
    for shipped in (CITYSCAPES, SCENES):
        run = plan_run(training, 5, tmp_path, shipped)
        metrics = Config.fromstring(run.config, ".py").test_evaluator
        types = [metric.type for metric in metrics]
        assert types == ["IoUMetric", "TrimapIoUMetric", "BoundaryIoUMetric"]
        assert {8, 20} < set(metrics[1].widths), "Table 8"
    scenes = plan_run(build_sweep("strategies", SCENES).trainings[0], 0, tmp_path, SCENES, 2)
    schedule = Config.fromstring(scenes.config, ".py").param_scheduler
    assert [(part.begin, part.end) for part in schedule] == [(0, 1), (1, 2)]


def test_a_users_own_config(tmp_path: Path) -> None:
    """A child elsewhere: no baseline, one schedule, one metric, another void label."""
    child = tmp_path / "mine.py"
    child.write_text(
        f"_base_ = {str(SCENES)!r}\n"
        "param_scheduler = dict(\n"
        "    type='MultiStepLR', begin=0, end=1000, milestones=[600, 800], by_epoch=False,\n"
        "    _delete_=True)\n"
        "test_evaluator = dict(type='IoUMetric', ignore_index=7, _delete_=True)\n"
    )
    fitting = fitting_sweeps(child)
    of_pairs = ("coarse-heads", "boundary-widths", "alternatives")
    assert fitting == [name for name in NAMES if name not in of_pairs]
    assert fitting_sweeps(SCENES) == NAMES
    training = build_sweep("uncertainty", child).trainings[0]
    config = Config.fromstring(plan_run(training, 0, tmp_path, child, 100).config, ".py")
    assert config.param_scheduler.end == 100 and config.param_scheduler.milestones == [60, 80]
    assert [metric.ignore_index for metric in config.test_evaluator] == [7, 7, 7]

    for text, told in (
        ("train_cfg = dict(_delete_=True, by_epoch=False)", "must say how long it trains"),
        ("test_evaluator = []", "must have a test_evaluator"),
    ):
        child.write_text(f"_base_ = {str(SCENES)!r}\n{text}\n")
        with pytest.raises(ValueError, match=f"mine.py {told}"):
            plan_run(training, 0, tmp_path, child)


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="sweep of semantic segmentation must be one of .*strategies"
    ):
        build_sweep("stratgies", SCENES)
    with pytest.raises(ValueError, match="must have a PointRend model"):
        build_sweep("strategies", shipped_config(DEFAULT_CONFIG.replace("pointrend", "fpn", 2)
                                                 .replace("fpn/", "sem_fpn/")))  # fmt: skip
    template = shipped_config("pointrend/pointrend_r50_my-dataset-512x1024.py")
    with pytest.raises(ValueError, match="no known baseline"):
        build_sweep("coarse-heads", template)
    with pytest.raises(ValueError, match="iterations must be at least 2, got 1"):
        plan_run(build_sweep("strategies", SCENES).trainings[0], 0, tmp_path, SCENES, 1)
