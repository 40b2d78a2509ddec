"""The sweep of other decoders really trains and tests: two iterations on small scenes."""

from pathlib import Path

import pytest

from mmseg_pointrend.apis.configs import shipped_config
from mmseg_pointrend.lab.ablation.one_run import train_and_test
from mmseg_pointrend.lab.ablation.run_folder import plan_run, prepare_folder
from mmseg_pointrend.lab.ablation.run_sweeps import DEFAULT_CONFIG
from mmseg_pointrend.lab.ablation.sweeps import build_sweep
from mmseg_pointrend.lab.scenes import write_scenes
from tests.tools.commands import forget_runs

SCENES = shipped_config(DEFAULT_CONFIG)


@pytest.mark.slow
def test_other_decoders_learn_and_are_tested(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_scenes(data, num_train=4, num_val=2, size=(64, 128))
    options = {
        f"{split}_dataloader.dataset.data_root": str(data) for split in ("train", "val", "test")
    }
    options |= {
        "model.data_preprocessor.size": (64, 128),
        "train_dataloader.dataset.pipeline.2.crop_size": (64, 128),
        "train_dataloader.batch_size": 2,
    }
    found = {}
    for training in build_sweep("alternatives", SCENES).trainings[1:4]:
        forget_runs()
        run = plan_run(training, 0, tmp_path / "work", SCENES, 2, options)
        prepare_folder(run)
        train_and_test(run.folder)
        assert run.is_finished and (run.folder / "training/iter_2.pth").is_file()
        found[training.name.rpartition("_")[2]] = run.result({})
    forget_runs()
    assert list(found) == ["stride-4-decoder", "dysample", "carafe"]
    for metrics in found.values():
        assert 0 < metrics["mIoU"] < 100 and "boundary/mIoU_0.02" in metrics
