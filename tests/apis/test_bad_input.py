"""Mistakes of the user end a tool with one line that names them, and with nothing harmed."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.utils.data import DataLoader, Dataset

from mmseg_pointrend.apis.configs import load_config
from mmseg_pointrend.apis.console import command_line_tool
from tests.tools.folders import SHALLOW, small_options, write_cityscapes

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs/pointrend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_cityscapes(tmp_path_factory.mktemp("cityscapes"))


@pytest.fixture
def fail(call_tool) -> Callable[..., str]:
    """Run a tool in this process; return its one line of error."""

    def run(name: str, *arguments: object) -> str:
        errors = call_tool.fail(name, *arguments).splitlines()
        (line,) = (line for line in errors if line.startswith("error: "))
        return line

    return run


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("model.decode_head.coarse_head.num_classes=7", "coarse_head.num_classes=7 contradicts"),
        ("model.decode_head.point_head.in_index=[9]", "point_head.in_index=[9] is out of range"),
        ("model.decode_head.training_points.num_points=0", "num_points (N) must be an integer"),
        ("model.decode_head.training_points.oversample_ratio=0.5", "oversample_ratio (k) must be"),
        (
            "model.decode_head.training_points.importance_sample_ratio=2",
            "importance_sample_ratio (beta) must lie in [0, 1], got 2",
        ),
        ("model.decode_head.subdivision.num_points=0", "num_points (N) must be an integer >= 1"),
        ("model.decode_head.num_classes=5", "num_classes=5, but CityscapesDataset has 19 classes"),
        ("model.decode_head.coarse_head.type=NoSuchHead", "NoSuchHead is not in the"),
        ("model.decode_head.colour=red", "unexpected keyword argument 'colour'"),
        ("load_from=nowhere.pth", "checkpoint nowhere.pth does not exist"),
        ("model.decode_head.num_classes=1", "num_classes must be 2 or more, got 1: the background"),
        (
            "val_evaluator.ignore_index=11",
            "dataset.ignore_index=255, but val_evaluator IoUMetric.ignore_index=11",
        ),
        (
            "model.data_preprocessor.size=(64,96)",
            "RandomCrop.crop_size=(64, 64), but model.data_preprocessor.size=(64, 96)",
        ),
        ("train_dataloader.dataset.data_root=nowhere", "nowhere/leftImg8bit/train"),
        ("param_scheduler.0.end=-1", "end should be larger than begin"),
        ("optim_wrapper.optimizer.lr=-1", "Invalid learning rate"),
    ],
)
def test_settings(data, tmp_path, fail, option: str, message: str) -> None:
    line = fail(
        "train.py", CONFIG, "--work-dir", tmp_path,
        *small_options(data, 1), *SHALLOW, option,
    )  # fmt: skip
    assert message in line


def test_missing_files(tmp_path, fail) -> None:
    assert "config nowhere.py does not exist" in fail("train.py", "nowhere.py")
    assert "config nowhere.py does not exist" in fail("test.py", "nowhere.py", "x.pth")
    assert "checkpoint nowhere.pth does not exist" in fail("test.py", CONFIG, "nowhere.pth")
    assert "checkpoint nowhere.pth does not exist" in fail(
        "train.py", CONFIG, "--resume", "nowhere.pth"
    )
    assert "config nowhere.py does not exist" in fail("analysis_tools/get_flops.py", "nowhere.py")
    assert list(tmp_path.iterdir()) == []


def test_a_shape_to_count_for(fail) -> None:
    line = fail("analysis_tools/get_flops.py", CONFIG, "--shape", 512, 0)
    assert "shape must be one or two positive integers, height and width, got [512, 0]" in line


def test_an_empty_data_folder(tmp_path, fail) -> None:
    for folder in ("leftImg8bit", "gtFine"):
        (tmp_path / folder / "train").mkdir(parents=True)
    line = fail("train.py", CONFIG, *small_options(tmp_path))
    assert "train_dataloader.dataset: no images *_leftImg8bit.png found" in line
    assert str(tmp_path) in line


def test_a_label_outside_the_classes(tmp_path, fail) -> None:
    write_cityscapes(tmp_path / "data")
    path = next((tmp_path / "data/gtFine/train").rglob("*_000001_*"))
    labels = np.array(Image.open(path))
    labels[0, 0] = 34
    Image.fromarray(labels).save(path)
    line = fail(
        "train.py", CONFIG, "--work-dir", tmp_path / "work",
        *small_options(tmp_path / "data", 1), *SHALLOW,
    )  # fmt: skip
    assert f"label map {path} holds the label(s) 34" in line


def test_amp_without_a_gpu(data, monkeypatch, fail) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    line = fail("train.py", CONFIG, "--amp", *small_options(data))
    assert "amp needs a GPU" in line


def test_a_damaged_checkpoint(data, tmp_path, fail) -> None:
    path = tmp_path / "broken.pth"
    path.write_bytes(b"PK\x03\x04 and then nothing")
    line = fail("test.py", CONFIG, path, *small_options(data))
    assert str(path) in line and "not a complete checkpoint" in line


@pytest.mark.usefixtures("random_weights")
def test_predicting_what_is_no_image(tmp_path, fail) -> None:
    checkpoint, image = tmp_path / "weights.pth", tmp_path / "image.png"
    torch.save(dict(state_dict={}, meta={}), checkpoint)
    image.write_bytes(b"no image")
    arguments = (CONFIG, checkpoint, image, "--out", tmp_path / "out.png")
    line = fail("predict.py", *arguments)
    assert f"image {image} is damaged, or of a format that LoadImageFromFile does not read" in line
    line = fail("predict.py", *arguments, "--window", 9, 0)
    assert "window must be two integers >= 1, got (9, 0)" in line
    assert not (tmp_path / "out.png").exists()


def test_a_bug_keeps_its_traceback() -> None:
    @command_line_tool
    def tool() -> None:
        np.zeros(3).reshape(2, 2)

    with pytest.raises(ValueError, match="cannot reshape"):
        tool()


class Refused(Dataset):
    """A picture in which a loader's worker finds a mistake of the user, or a bug."""

    def __init__(self, bug: bool) -> None:
        self.bug = bug

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> None:
        if self.bug:
            np.zeros(3).reshape(2, 2)
        load_config("nowhere.py")


def test_a_loaders_worker_is_heard(capfd: pytest.CaptureFixture) -> None:
    @command_line_tool
    def tool() -> None:
        list(DataLoader(Refused(bug=False), num_workers=1))

    @command_line_tool
    def tool_with_a_bug() -> None:
        list(DataLoader(Refused(bug=True), num_workers=1))

    with pytest.raises(SystemExit) as stopped:
        tool()
    assert stopped.value.code == 2
    said = capfd.readouterr().err
    assert said.startswith("error: config nowhere.py does not exist") and said.count("\n") == 1
    with pytest.raises(ValueError, match="(?s)worker process 0.*cannot reshape"):
        tool_with_a_bug()


def test_a_traceback_can_be_asked_for(monkeypatch) -> None:
    @command_line_tool
    def tool() -> None:
        load_config("nowhere.py")

    with pytest.raises(SystemExit):
        tool()
    monkeypatch.setenv("POINTREND_TRACEBACK", "1")
    with pytest.raises(FileNotFoundError):
        tool()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("steps must be 0 or more, got -1"), "error: steps must be 0 or more, got -1"),
        (RuntimeError("a bug"), "Traceback .*RuntimeError: a bug\n"),
        # The peer that closed it is what failed.
        (RuntimeError("gloo: Connection closed by peer [::1]:99"), None),
    ],
)
def test_torchrun_is_told_what_ended_a_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str | None
) -> None:
    """The file is read by torchrun's own class."""
    path = tmp_path / "error.json"
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(path))
    monkeypatch.setattr(
        "mmseg_pointrend.apis.console._is_user_mistake", lambda error: type(error) is ValueError
    )

    @command_line_tool
    def main() -> None:
        raise error

    before = int(time.time())
    with pytest.raises((SystemExit, RuntimeError)):
        main()
    assert path.exists() == (told is not None)
    if told is not None:
        failure = ProcessFailure(local_rank=0, pid=1, exitcode=2, error_file=str(path))
        assert before <= failure.timestamp <= time.time()
        assert re.fullmatch(told, failure.message["extraInfo"]["py_callstack"], re.DOTALL)
        assert "To enable traceback" not in str(ChildFailedError("train.py", {0: failure}))
