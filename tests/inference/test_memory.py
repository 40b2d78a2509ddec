"""What takes more memory than there is fails, and is told from other failures."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

from mmseg_pointrend.inference import memory
from mmseg_pointrend.inference.folder import JobFolder
from mmseg_pointrend.inference.inputs import find_pictures
from mmseg_pointrend.inference.job import JobSettings, run_job
from mmseg_pointrend.inference.memory import explained, lacks_memory, no_more_than_free
from tests.inference.test_job import PLAIN, PLAIN_LABELS, RECORD, Remainders, write_pictures

init_default_scope("mmseg")

linux = pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")


@linux
@pytest.mark.parametrize("take", ["torch.ones(1 << 26)", "numpy.ones(1 << 26)", "cv2.resize(x, y)"])
def test_that_no_more_is_taken_than_is_free(take: str) -> None:
    # A process of its own: memory that was freed before would serve.
    code = f"""
import cv2, numpy, torch
from mmseg_pointrend.inference import memory
memory._free_bytes = lambda: 200 << 20
x, y = numpy.ones((8, 8)), (1 << 13, 1 << 13)
with memory.no_more_than_free(torch.nn.Identity()):
    few = torch.ones(1 << 24)
    try:
        more = {take}
    except Exception as error:
        assert memory.lacks_memory(error), repr(error)
        print("refused")
more = {take}
print("taken")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["refused", "taken"], done.stderr


def test_other_errors_are_no_lack_of_memory() -> None:
    assert not lacks_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="shapes"), explained("a.png", whole=True):
        raise RuntimeError("shapes")


@linux
def test_what_is_free_is_measured() -> None:
    free = memory._free_bytes()
    assert free is not None and 10 << 20 < free < 1 << 46


class Hungry(Remainders):
    """It takes 16 GB for each row beyond the fifth."""

    def test_step(self, data: dict) -> list:
        rows = max(len(pixels[0]) for pixels in data["inputs"])
        np.empty((rows - 5) << 34, np.uint8)[:1] = 0
        return super().test_step(data)


@linux
@pytest.mark.parametrize("batch_size", [1, 2])
def test_a_job_lists_pictures_that_do_not_fit_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    monkeypatch.setattr(memory, "_free_bytes", lambda: 1 << 30)
    # More in a row than a model that fails is given.
    sizes = [(5, 7), *[(6, 7)] * 11, (5, 7)]
    found = find_pictures([write_pictures(tmp_path / "data", sizes)])
    folder = JobFolder(str(tmp_path / "out"), PLAIN_LABELS)
    folder.open(RECORD, overwrite=False)
    settings = JobSettings(batch_size=batch_size)
    report = run_job(Hungry(), PLAIN, found.pictures, folder, settings, quiet=True)
    assert report.predicted == 2
    for failure in report.failures:
        assert "does not fit into memory as a whole; sliding windows" in failure.describe()
        assert failure.picture.path in failure.describe()


@linux
def test_one_picture_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_free_bytes", lambda: 1 << 28)
    model = nn.Linear(1, 1)
    with (
        pytest.raises(ValueError, match=r"image a\.png does not fit into memory as a whole"),
        no_more_than_free(model),
        explained("a.png", whole=True),
    ):
        torch.ones(1 << 28)
