"""The benchmark on small pictures: what it runs is what it says, and adds up."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS

from mmseg_pointrend.apis.configs import load_config
from mmseg_pointrend.lab.benchmark import benchmark as benchmark_module
from mmseg_pointrend.lab.benchmark.benchmark import benchmark
from mmseg_pointrend.lab.benchmark.inputs import NUM_SCENES, Scenes
from mmseg_pointrend.lab.benchmark.models import build_models
from mmseg_pointrend.lab.benchmark.settings import (
    Settings,
    complete_settings,
    load_model_config,
)
from mmseg_pointrend.lab.benchmark.stages import StageClock
from mmseg_pointrend.lab.benchmark.timings_table import format_benchmark
from mmseg_pointrend.lab.benchmark.workloads import Prediction, TrainingStep, build_works
from mmseg_pointrend.lab.counting.complexity import count_complexity
from mmseg_pointrend.lab.scenes.logits import scene_logits
from tests.repository.test_configs import NAMES, ROOT, light
from tests.shallow import shallow_resnets

SMALL = str(ROOT / "pointrend/pointrend_r18-small_1xb4-1k_demo-scenes-128x256.py")
SMALL_FPN = str(ROOT / "sem_fpn/fpn_r18-small_1xb4-1k_demo-scenes-128x256.py")
CITYSCAPES = str(ROOT / "pointrend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py")
TWO_CLASSES = str(ROOT / "pointrend/pointrend_r50_my-dataset-512x1024.py")
# Those of ResNet-101 differ from their parents in depth alone, or in the coarse head's inputs.
AFFORDABLE = [name for name in NAMES if "r101" not in name]
FEW_POINTS = {"model.decode_head.subdivision.num_points": 200}
ODD = Settings(SMALL, shape=(67, 131), ori_shape=(90, 170), repeat=2, warmup=0, options=FEW_POINTS)


@pytest.fixture
def no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what takes processes; tests/tools measures it."""
    monkeypatch.setattr(
        benchmark_module, "_measure_memory", lambda settings, *_: dict(total=3 * 2**20)
    )


def works(settings: Settings) -> tuple[dict, Settings]:
    settings = complete_settings(settings)
    return build_works(settings, load_model_config(settings), StageClock), settings


def predict(work: Prediction, turn: int = 0) -> list:
    work.prepare(turn)
    return [sample.pred_sem_seg.data[0] for sample in work.run()]


@pytest.mark.parametrize("name", AFFORDABLE)
def test_every_config(name: str, no_memory: None) -> None:
    """Stages add up, labels are mmsegmentation's, and the report can be written and read."""
    pointrend = "point_head" in Path(ROOT / name).read_text() or name.startswith("pointrend")
    versus = None
    if pointrend:
        # mmsegmentation's PointRend has no single logit for two classes.
        one_logit = load_config(ROOT / name).model.decode_head.get("out_channels") == 1
        versus = "coarse" if one_logit or "unet" in name else "upstream"
    settings = Settings(
        str(ROOT / name), shape=(64, 96), ori_shape=(70, 101), repeat=1, warmup=0, versus=versus,
        options=light(name) | (FEW_POINTS if pointrend else {}),
    )  # fmt: skip
    with shallow_resnets():
        report = benchmark(settings)
    for model, found in report["models"].items():
        seconds = found["seconds"]
        stages = {"backbone", "coarse head", "post-processing"}
        if load_config(ROOT / name).model.get("neck"):
            stages.add("neck")
        if pointrend and model != "coarse":
            stages.add("rendering")
        assert set(seconds) - {"total", *_BESIDE} == stages
        for run, total in enumerate(seconds["total"]):
            parts = [seconds[stage][run] for stage in stages]
            assert min(parts) > 0
            assert sum(parts) == pytest.approx(total, rel=1e-6)
            beside = sum(seconds[name][run] for name in _BESIDE)
            assert beside == pytest.approx(total, rel=1e-6)
    if versus == "upstream":
        labels = report["labels"]
        assert labels["pixels"] == 70 * 101
        assert labels["share"] <= 1e-3 and labels["largest_margin"] < 1e-3
    assert ("ratios" in report) == pointrend
    assert json.loads(json.dumps(report))["models"].keys() == report["models"].keys()
    assert "random: the labels mean nothing" in format_benchmark(report)


_BESIDE = ("until the coarse logits", "after the coarse logits")


@pytest.mark.parametrize("logits", ["scenes", "random", "model"])
@pytest.mark.parametrize("batch", [1, 3])
def test_labels_are_mmsegmentations(logits: str, batch: int) -> None:
    """With the same weights and coarse logits, for every scene."""
    built, _ = works(replace(ODD, logits=logits, batch=batch, versus="upstream"))
    seen = []
    for turn in range(NUM_SCENES):
        ours, theirs = predict(built["ours"], turn), predict(built["upstream"], turn)
        assert len(ours) == len(theirs) == batch
        for mine, other in zip(ours, theirs, strict=True):
            assert mine.shape == other.shape == (90, 170)
            # The network ran with another order of the channels in memory, and rounds otherwise.
            assert (mine != other).float().mean() <= (5e-3 if logits == "model" else 1e-4)
        seen.append(ours[0])
    if logits != "model":
        assert all((seen[0] != other).any() for other in seen[1:])


def test_coarse_logits_are_those_of_the_scene() -> None:
    """Without steps and classes to confuse, labels are the resized logits' best class."""
    no_steps = {"model.decode_head.subdivision.steps": 0}
    built, settings = works(replace(ODD, ori_shape=None, options=no_steps, versus="coarse"))
    for turn in range(NUM_SCENES):
        logits = torch.from_numpy(scene_logits(turn, 9, (9, 17), 8))[None]
        expected = F.interpolate(logits, (67, 131), mode="bilinear").argmax(1)[0]
        (ours,), (coarse,) = predict(built["ours"], turn), predict(built["coarse"], turn)
        assert torch.equal(ours, expected) and torch.equal(coarse, expected)


def test_points_are_sharpened_coarse_logits() -> None:
    """Random weights of the point head leave most of the coarse labels as they are."""
    built, _ = works(replace(ODD, shape=(128, 256), ori_shape=None, versus="coarse"))
    (ours,), (coarse,) = predict(built["ours"]), predict(built["coarse"])
    assert 0 < (ours != coarse).float().mean() < 0.05


def test_runs_are_the_models_stages() -> None:
    """The coarse head runs once here, and twice in a training step of mmsegmentation."""
    built, _ = works(replace(ODD, versus="upstream"))
    for work in built.values():
        predict(work)
        assert set(work.clock.seconds) == {
            "backbone", "neck", "coarse head", "rendering", "post-processing"
        }  # fmt: skip
        labels = predict(work)[0]
        work.keep_coarse_logits()
        work.clock.reset()
        assert torch.equal(work.run()[0].pred_sem_seg.data[0], labels)
        assert set(work.clock.seconds) == {"rendering", "post-processing"}


def test_channels_last_is_as_asked() -> None:
    orders = {}
    for choice in ("auto", "on", "off"):
        settings = complete_settings(replace(ODD, channels_last=choice))
        model = build_models(settings, load_model_config(settings))["ours"]
        with torch.no_grad():
            feature = model.extract_feat(torch.zeros(1, 3, 64, 64))[0]
        orders[choice] = feature.is_contiguous(memory_format=torch.channels_last)
    assert orders == dict(auto=True, on=True, off=False)


def test_a_training_step(no_memory: None) -> None:
    settings = replace(
        ODD, shape=(64, 96), ori_shape=None, train=True, batch=2, versus="upstream", options=None
    )
    built, _ = works(settings)
    losses = {}
    for name, work in built.items():
        assert isinstance(work, TrainingStep)
        head = work.model.decode_head
        before = {key: value.clone() for key, value in work.model.state_dict().items()}
        work.prepare(0)
        labels = work._samples[0].gt_sem_seg.data
        assert labels.shape == (1, 64, 96) and labels.unique().numel() > 3
        torch.manual_seed(0)
        losses[name] = float(work.run())
        changed = [k for k, v in work.model.state_dict().items() if not torch.equal(v, before[k])]
        assert any("fc_seg" in key for key in changed) and any("conv1" in key for key in changed)
        assert head.training
        assert set(work.clock.seconds) == {
            "backbone", "neck", "coarse head", "points and losses", "backward", "optimizer"
        }  # fmt: skip
    # Points differ, being random.
    assert losses["ours"] == pytest.approx(losses["upstream"], rel=0.05)
    report = benchmark(settings)
    assert report["settings"]["logits"] == "model" and "labels" not in report
    assert "Training step" in format_benchmark(report)
    assert report["ratios"]["total"] > 0


def test_labels_stay_within_the_classes() -> None:
    settings = complete_settings(Settings(TWO_CLASSES, shape=(64, 96), train=True))
    scenes = Scenes(settings, load_model_config(settings))
    values = set()
    for turn in range(NUM_SCENES):
        values |= set(scenes.samples(turn)[0].gt_sem_seg.data.unique().tolist())
    assert values == {0, 1, 255}


def test_images_are_normalised_as_the_preprocessor_does() -> None:
    settings = complete_settings(ODD)
    config = load_model_config(settings)
    (image,) = Scenes(settings, config).images(0)
    model = MODELS.build(config.model.data_preprocessor)
    pixels = image * model.std + model.mean
    assert torch.allclose(pixels, pixels.round(), atol=1e-3)
    assert 0 <= pixels.min() and 100 < pixels.max() <= 255.001


def test_a_checkpoint_is_used(tmp_path: Path, no_memory: None) -> None:
    settings = complete_settings(ODD)
    model = build_models(settings, load_model_config(settings))["ours"]
    with torch.no_grad():
        model.decode_head.coarse_head.conv_seg.bias[3] += 100
    path = tmp_path / "weights.pth"
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    report = benchmark(replace(ODD, checkpoint=str(path)))
    assert report["weights"] == str(path)
    assert report["logits"] == "as the coarse head gives them"
    assert "random" not in format_benchmark(report)
    built, _ = works(replace(ODD, checkpoint=str(path)))
    assert set(np.unique(predict(built["ours"])[0])) == {3}
    with pytest.raises(ValueError, match="weights of the model unset"):
        benchmark(replace(ODD, config=SMALL_FPN, checkpoint=str(path), options=None))


@pytest.mark.parametrize("channels", [1, 4])
def test_pictures_have_the_networks_channels(channels: int, no_memory: None) -> None:
    """Grey ones, and others of remote sensing; `size_divisor` as in a config without RGB."""
    options = FEW_POINTS | {
        "model.backbone.in_channels": channels,
        "model.data_preprocessor.mean": [100.0] * channels,
        "model.data_preprocessor.std": [50.0] * channels,
        "model.data_preprocessor.bgr_to_rgb": False,
    }
    settings = replace(ODD, options=options, versus="upstream", repeat=1)
    built, _ = works(settings)
    built["ours"].prepare(0)
    assert built["ours"]._images.shape == (1, channels, 67, 131)
    report = benchmark(settings)
    assert report["labels"]["largest_margin"] < 1e-3
    training = replace(settings, train=True, versus=None, shape=(64, 64), ori_shape=None)
    assert benchmark(training)["models"]["ours"]["median"]["total"] > 0
    counted = count_complexity(SMALL, (64, 64), options).rendering.stages[0].parameters
    assert counted == sum(p.numel() for p in built["ours"].model.backbone.parameters())


def test_the_table(no_memory: None) -> None:
    report = benchmark(replace(ODD, versus="upstream", logits="random"))
    medians = report["models"]["ours"]["median"]
    ratio = report["models"]["upstream"]["median"]["rendering"] / medians["rendering"]
    assert report["ratios"]["rendering"] == ratio
    text = format_benchmark(report)
    lines = {line[:40].strip(): line[40:].split() for line in text.splitlines()}
    assert lines["rendering"][0] == f"{1e3 * medians['rendering']:.2f}"
    assert lines["rendering"][2] == f"{ratio:.2f}"
    assert lines["total"] == ["3.0", "3.0", "1.00"]
    assert "1 image(s) of 67x131, labels 90x170, float32" in text
    assert "the worst case" in text
    assert f"of {2 * 90 * 170} pixels differ" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(config="nowhere.py"), "config nowhere.py does not exist"),
        (dict(checkpoint="nowhere.pth"), "checkpoint nowhere.pth does not exist"),
        (dict(batch=0), "batch must be an integer >= 1, got 0"),
        (dict(repeat=0), "repeat must be an integer >= 1, got 0"),
        (dict(warmup=-1), "warmup must be an integer >= 0, got -1"),
        (dict(threads=0), "threads must be an integer >= 1, got 0"),
        (dict(shape=(64, 64, 3)), "shape must be one or two positive integers"),
        (dict(shape=(63, 200)), "shape must be at least 64x64, .* got 63x200"),
        (dict(device="tpu"), "device must be cpu, cuda or cuda:<number>, got 'tpu'"),
        (dict(logits="other"), "logits must be one of"),
        (dict(versus="detectron2"), "versus must be one of"),
        (dict(train=True, logits="scenes", ori_shape=None), "a training needs logits='model'"),
        (dict(train=True), "leave it out with train"),
    ],
)
def test_mistakes_are_named(change: dict, message: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        complete_settings(replace(ODD, **change))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="torch sees no GPU"):
        complete_settings(replace(ODD, device="cuda"))
    with pytest.raises(ValueError, match="amp needs a GPU"):
        complete_settings(replace(ODD, train=True, amp=True, ori_shape=None))


def test_the_shape_comes_from_the_config() -> None:
    settings = complete_settings(Settings(CITYSCAPES))
    assert settings.shape == settings.ori_shape == (1024, 2048)
    assert settings.logits == "scenes"
    assert complete_settings(Settings(CITYSCAPES, train=True)).shape == (512, 1024)


def test_mixed_precision_and_compiled(no_memory: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the compiler notes what it was given."""
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda f: compiled.append(f.__self__) or f)
    report = benchmark(replace(ODD, amp=True, compile=True))
    assert [type(part).__name__ for part in compiled] == ["ResNet", "FPN", "FPNHead"]
    assert "mixed precision, compiled network" in format_benchmark(report)


@pytest.mark.parametrize("channels_last", ["auto", "on"])
def test_a_point_head_that_reads_the_picture(channels_last: str) -> None:
    """In a prediction, one from feature maps that are kept, and a training step."""
    options = FEW_POINTS | {"model.decode_head.picture": dict(kernel_size=3)}
    built, _ = works(replace(ODD, options=options, channels_last=channels_last))
    (work,) = built.values()
    before = predict(work)[0]
    work.keep_coarse_logits()
    assert torch.equal(predict(work)[0], before)
    training = replace(ODD, options=options, channels_last=channels_last, train=True)
    built, _ = works(replace(training, ori_shape=None))
    (step,) = built.values()
    step.prepare(0)
    step.keep_features()
    assert step.run() > 0
