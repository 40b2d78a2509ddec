"""Steps drawn in validation: by a real training, into files and TensorBoard."""

from pathlib import Path

import cv2
import pytest
from mmengine.config import Config
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mmseg_pointrend.apis.training import train
from mmseg_pointrend.pages import RenderingStepsHook
from tests.engine.kills import write_config
from tests.tools.commands import forget_runs

pytestmark = pytest.mark.slow


def train_with(folder: Path, hook: dict, **options: object) -> None:
    config = Config.fromfile(write_config(folder, iterations=12))
    config.custom_hooks = [*config.custom_hooks, hook]
    config.train_cfg.val_interval = 6
    config.visualizer.vis_backends = [
        dict(type="LocalVisBackend"), dict(type="TensorboardVisBackend")
    ]  # fmt: skip
    config.merge_from_dict(options)
    config.dump(folder / "with_steps.py")
    try:
        train(folder / "with_steps.py", work_dir=folder / "run")
    finally:
        forget_runs()


def test_files_and_tensorboard(tmp_path: Path) -> None:
    train_with(tmp_path, dict(type="RenderingStepsHook", numbers=[0, 1], tile_width=40))
    (log,) = (tmp_path / "run").glob("*/vis_data")
    written = sorted(log.glob("vis_image/steps_*.png"))
    # Two pictures after each of two iterations.
    assert [path.stem.rpartition("_")[2] for path in written] == ["12", "6", "12", "6"]
    images = [cv2.imread(str(path)) for path in written]
    # Picture and truth, the coarse map, three steps.
    assert all(image.shape[1] == 5 * (40 + 6) + 6 for image in images)
    (events,) = log.glob("events.out.*")
    found = EventAccumulator(str(events)).Reload()
    names = [name for name in found.Tags()["images"] if name.startswith("steps_")]
    assert len(names) == 2
    for name in names:
        assert [event.step for event in found.Images(name)] == [6, 12]
        assert {event.width for event in found.Images(name)} == {5 * (40 + 6) + 6}


def test_a_model_without_steps(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="RenderingStepsHook draws the steps of a PointRend"):
        train_with(
            tmp_path, dict(type="RenderingStepsHook"), **{
                "model.type": "EncoderDecoder",
                "model.decode_head": dict(
                    type="FPNHead", in_channels=[16, 16, 16], in_index=[1, 2, 3], channels=16,
                    feature_strides=[8, 16, 32], num_classes=2, _delete_=True,
                ),
            }
        )  # fmt: skip


def test_numbers_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"numbers must be >= 0, got \[-1\]"):
        RenderingStepsHook([-1])
