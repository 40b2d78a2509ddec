"""The benchmark of instance models' mask branch."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmseg_pointrend.lab.benchmark.masks import benchmark as mask_benchmark
from mmseg_pointrend.lab.benchmark.masks.benchmark import benchmark_masks, format_masks
from mmseg_pointrend.lab.benchmark.masks.device_counts import count_masks, format_mask_counts
from mmseg_pointrend.lab.benchmark.settings import Settings, complete_settings
from tests.instance.heads import detector_config


def write_config(folder: Path, **mask_head: object) -> str:
    model = detector_config(**mask_head)
    model.data_preprocessor.pop("pad_mask")
    config = Config(
        dict(
            model=model,
            default_scope="mmdet",
            custom_imports=dict(imports=["mmseg_pointrend.instance"]),
        )
    )
    config.dump(folder / "config.py")
    return str(folder / "config.py")


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure memory without new processes: what is measured is tested elsewhere."""
    monkeypatch.setattr(mask_benchmark, "in_new_process", lambda call, *given: call(*given))
    with DefaultScope.overwrite_default_scope("mmdet"):
        yield


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("versus", ["upstream", "coarse"])
def test_branches_are_measured_beside_each_other(tmp_path: Path, versus: str, train: bool) -> None:
    settings = Settings(
        write_config(tmp_path),
        shape=(64, 96),
        ori_shape=(43, 70),
        boxes=(1, 4),
        repeat=1,
        warmup=0,
        train=train,
        versus=versus,
    )
    report = benchmark_masks(settings)
    names = (
        ["ours", "upstream"] if versus == "upstream" else ["ours", "4xconv 28x28", "4xconv 224x224"]
    )
    for number in (1, 4):
        found = report["boxes"][number]
        assert list(found["models"]) == names
        for model in found["models"].values():
            assert len(model["seconds"]) == 1 and model["median"] > 0
            assert model["peak_memory"] >= 0
        assert list(found["ratios"]) == names[1:]
        if versus == "upstream" and not train:
            assert found["masks"]["different"] <= 2 and found["masks"]["pixels"] > 0
    text = format_masks(report)
    assert ("Masks of 4 boxes" in text) == (versus == "upstream" and not train)
    assert all(name in text for name in names)


@pytest.mark.parametrize("train", [False, True])
def test_a_gpu_is_asked_for_no_more_than_by_mmdet(tmp_path: Path, train: bool) -> None:
    """Whatever the number of boxes; the host waits to learn how large they are, and for NaN."""
    settings = Settings(
        write_config(tmp_path), shape=(128, 192), ori_shape=(86, 140), boxes=(3, 9), count=True,
        train=train, versus="upstream",
    )  # fmt: skip
    report = count_masks(settings)
    for found in report["boxes"].values():
        ours, theirs = (
            {
                key: sum(stage[key] for stage in stages.values())
                for key in ("launches", "syncs", "read", "written")
            }
            for stages in found["models"].values()
        )
        assert all(ours[key] <= theirs[key] for key in ours)
        assert ours["launches"] <= (192 if train else 198)
        assert ours["syncs"] <= (1 if train else 2)
    text = format_mask_counts(report)
    assert "3 boxes" in text and "9 boxes" in text and "kernel launches" in text


@pytest.mark.parametrize(
    ("mask_head", "settings", "message"),
    [
        (dict(predict_coarse=True), dict(versus="upstream"), "no mask_head.predict_coarse"),
        (dict(subdivision=dict(num_points=0.5)), dict(versus="upstream"), "N as a number"),
        ({}, dict(boxes=(0,)), "boxes must be >= 1, got 0"),
        ({}, dict(logits="random"), "logits is for semantic models"),
    ],
)
def test_mistakes(tmp_path: Path, mask_head: dict, settings: dict, message: str) -> None:
    given = dict(boxes=(1,), shape=(64, 96)) | settings
    with pytest.raises(ValueError, match=message):
        benchmark_masks(Settings(write_config(tmp_path, **mask_head), **given))


def test_boxes_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give --boxes"):
        complete_settings(Settings(write_config(tmp_path)))
