"""Configs whose types are classes, whose scope is None, or whose pictures have one channel."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmseg.models.segmentors import SegTTAModel
from torch import nn

from mmseg_pointrend.apis.configs import fit_to_machine, load_config, prepare_config
from mmseg_pointrend.apis.tasks import SAFETY_HOOKS
from mmseg_pointrend.apis.tasks.semantic import SemanticSegmentation, _augment
from mmseg_pointrend.apis.training import enable_amp, train
from mmseg_pointrend.engine import LabelCheckHook
from mmseg_pointrend.lab.benchmark import benchmark as benchmark_module
from mmseg_pointrend.lab.benchmark.benchmark import benchmark
from mmseg_pointrend.lab.benchmark.settings import Settings
from mmseg_pointrend.lab.counting.complexity import count_complexity
from tests.apis.test_same_labels import quick, write_config  # noqa: F401
from tests.tools.commands import forget_runs

CASE = dict(
    loader="colour", classes="two", style="classes", wrapped=False, pipeline="both", mode="whole",
    preprocessor="none",
)  # fmt: skip


@pytest.mark.parametrize("loader", ["colour", "grey"])
def test_work_is_counted_and_timed(
    loader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, classes = (tmp_path / style for style in ("names", "classes"))
    counts = {}
    for folder in (names, classes):
        folder.mkdir()
        path = write_config(dict(CASE, loader=loader, style=folder.name), folder)
        counts[folder.name] = count_complexity(path)
    assert counts["names"] == counts["classes"]
    assert counts["classes"].rendering.shape == (64, 96)
    monkeypatch.setattr(benchmark_module, "_measure_memory", lambda settings, *_: dict(total=1))
    settings = Settings(str(path), shape=(64, 96), repeat=1, warmup=0, versus="upstream")
    assert set(benchmark(settings)["models"]) == {"ours", "upstream"}


def test_a_hook_that_is_a_class_is_not_added_again(tmp_path: Path) -> None:
    hooks = [dict(type=LabelCheckHook, num_threads=2)]
    config = load_config(write_config(CASE, tmp_path), dict(custom_hooks=hooks))
    found = [getattr(hook.type, "__name__", hook.type) for hook in config.custom_hooks]
    assert sorted(found) == sorted((*SemanticSegmentation.data_hooks, *SAFETY_HOOKS))


@pytest.mark.parametrize("kind", ["SyncBN", nn.SyncBatchNorm])
def test_batch_norm_of_several_processes_becomes_that_of_one(kind: object) -> None:
    norm = dict(type=kind, requires_grad=True)
    config = Config(dict(model=dict(backbone=dict(norm_cfg=norm), heads=[dict(norm_cfg=norm)])))
    fit_to_machine(config)
    assert config.model.backbone.norm_cfg.type == config.model.heads[0].norm_cfg.type == "BN"


def test_the_wrapper_of_an_optimizer_and_of_views_may_be_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    config = Config(dict(optim_wrapper=dict(type=OptimWrapper)))
    enable_amp(config)
    assert config.optim_wrapper.type == "AmpOptimWrapper"
    config = prepare_config(write_config(CASE, tmp_path))
    assert config.tta_model.type is SegTTAModel
    _augment(config)
    assert config.model.type == "PointRendTTA"


def test_a_training_without_a_scope(tmp_path: Path) -> None:
    forget_runs()
    path = write_config(CASE, tmp_path)
    config = Config.fromfile(path)
    assert config.default_scope is None
    loader = dict(config.test_dataloader, sampler=dict(type="InfiniteSampler", shuffle=True))
    crop = dict(type="RandomCrop", crop_size=(32, 32))
    load, _, _, labels, pack = loader["dataset"].pipeline
    loader |= dict(
        batch_size=2, dataset=dict(loader["dataset"], pipeline=[load, labels, crop, pack])
    )
    runner = train(
        path,
        options={
            "train_dataloader": loader,
            "train_cfg": dict(type="IterBasedTrainLoop", max_iters=1),
            "optim_wrapper": dict(type=OptimWrapper, optimizer=dict(type="SGD", lr=0.01)),
            "model.data_preprocessor.size": (32, 32),
            "custom_hooks": [dict(type=LabelCheckHook)],
        },
    )
    checks = [hook for hook in runner.hooks if isinstance(hook, LabelCheckHook)]
    assert runner.iter == 1 and len(checks) == 1
