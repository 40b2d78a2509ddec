"""A job over many pictures: finished, bad, changed, stopped, and by several processes."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from PIL import Image
from torch import nn

from mmseg_pointrend.inference.folder import JobFolder, Wanted
from mmseg_pointrend.inference.inputs import find_pictures
from mmseg_pointrend.inference.job import JobSettings, Report, run_job
from mmseg_pointrend.inference.record import Record

init_default_scope("mmseg")

PLAIN = [dict(type="LoadImageFromFile"), dict(type="PackSegInputs")]
PALETTE = [[9, 8, 7], [200, 0, 0], [0, 200, 0]]
PLAIN_LABELS = Wanted(PALETTE)
RECORD = Record("config.py", "0" * 64, "1" * 64, None, None, True, "/pictures")


class Remainders(nn.Module):
    """Labels that can be worked out: the blue value modulo 3."""

    num_classes = 3

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def test_step(self, data: dict) -> list:
        self.batches.append(len(data["inputs"]))
        assert len({pixels.shape for pixels in data["inputs"]}) == 1
        for pixels, sample in zip(data["inputs"], data["data_samples"], strict=True):
            labels = (pixels[:1] % 3).long()
            sample.set_data(dict(pred_sem_seg=PixelData(data=labels)))
        return data["data_samples"]


def write_pictures(folder: Path, sizes: list[tuple[int, int]]) -> Path:
    rng = np.random.default_rng(0)
    for number, size in enumerate(sizes):
        pixels = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
        path = folder / f"{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "data", [(5, 7), (5, 7), (6, 7), (5, 7), (5, 7)])


@pytest.fixture
def job(data: Path, tmp_path: Path) -> Callable[..., Report]:
    """Run a job over the data into a folder."""

    def run(
        model: nn.Module | None = None,
        record: Record = RECORD,
        overwrite: bool = False,
        wanted: Wanted = PLAIN_LABELS,
        pipeline: list[dict] = PLAIN,
        **settings: int,
    ) -> Report:
        folder = JobFolder(tmp_path / "out", wanted)
        folder.open(record, overwrite)
        pictures = find_pictures([data]).pictures
        model = model or Remainders()
        return run_job(model, pipeline, pictures, folder, JobSettings(**settings))

    return run


def check_labels(data: Path, out: Path, count: int) -> None:
    """The label maps are those of the pictures, and there are no other files."""
    files = [path for path in (out / "labels").rglob("*") if path.is_file()]
    assert len(files) == count
    for path in files:
        picture = data / path.relative_to(out / "labels")
        blue = np.array(Image.open(picture))[..., 2]
        assert np.array_equal(np.array(Image.open(path)), blue % 3)


@pytest.mark.parametrize("workers", [0, 2])
def test_every_picture_gets_its_labels(job, data: Path, tmp_path: Path, workers: int) -> None:
    model = Remainders()
    report = job(model, batch_size=2, workers=workers)
    assert (report.total, report.predicted, report.failures) == (5, 5, [])
    assert sorted(model.batches) == [1, 2, 2]  # pictures of one size share a batch
    check_labels(data, tmp_path / "out", 5)


def test_what_is_finished_is_not_done_again(job, data: Path, tmp_path: Path) -> None:
    assert job().predicted == 5
    again = job()
    assert (again.predicted, again.finished) == (0, 5)
    # A picture that is another one now, even an older file; a label map that is gone.
    pixels = np.array(Image.open(data / "0/0.png"))
    Image.fromarray(pixels[::-1]).save(data / "0/0.png")
    os.utime(data / "0/0.png", (1, 1))
    (tmp_path / "out/labels/1/1.png").unlink()
    again = job()
    assert (again.predicted, again.finished) == (2, 3)
    check_labels(data, tmp_path / "out", 5)


def test_more_kinds_of_files_later(job, tmp_path: Path) -> None:
    job()
    assert job(wanted=Wanted(PALETTE, overlays=True)).predicted == 5
    assert job(wanted=Wanted(PALETTE, overlays=True)).finished == 5
    assert job().finished == 5
    assert len(list((tmp_path / "out/overlays").rglob("*.jpg"))) == 5


def test_bad_pictures_do_not_stop_the_others(job, data: Path, tmp_path: Path) -> None:
    (data / "0/0.png").write_bytes(b"no picture")
    (data / "1/1.png").write_bytes((data / "1/1.png").read_bytes()[:-20])
    for workers in (0, 1):
        report = job(workers=workers)
        failed = {Path(one.picture.path).name: one.reason for one in report.failures}
        assert failed.keys() == {"0.png", "1.png"}
        assert all("is damaged" in reason for reason in failed.values())
        assert report.predicted + report.finished == 3
        assert f"\n  image {data}/0/0.png is damaged" in report.describe()
    check_labels(data, tmp_path / "out", 3)


class FailsOnHeight(Remainders):
    """As a model does that runs out of memory, or does not take so many channels."""

    def __init__(self, height: int) -> None:
        super().__init__()
        self.height = height

    def test_step(self, data: dict) -> list:
        if any(pixels.shape[1] == self.height for pixels in data["inputs"]):
            raise RuntimeError("out of\nmemory")
        return super().test_step(data)


def test_pictures_that_the_model_fails_on(job, data: Path, tmp_path: Path) -> None:
    report = job(FailsOnHeight(6))
    (failure,) = report.failures
    assert failure.reason == "the model fails: out of memory"
    assert failure.picture.source.name == "2.png" and report.predicted == 4
    assert f"\n  {data}/0/2.png: the model fails: out of memory" in report.describe()
    check_labels(data, tmp_path / "out", 4)


def test_a_model_that_always_fails_stops(job, data: Path) -> None:
    write_pictures(data, [(6, 7)] * 30)
    with pytest.raises(RuntimeError, match="memory"):
        job(FailsOnHeight(6))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_pipeline_that_reads_nothing_stops(job, workers: int) -> None:
    with pytest.raises(ValueError, match="the test pipeline must begin with .* got PackSegInputs"):
        job(pipeline=PLAIN[1:], workers=workers)


def test_another_model_is_refused(job, tmp_path: Path) -> None:
    job()
    other = Record("config.py", "0" * 64, "2" * 64, (9, 9), (3, 3), True, "/pictures")
    with pytest.raises(ValueError) as refused:
        job(record=other)
    assert str(refused.value) == (
        f"out {tmp_path}/out holds predictions by something else: weights was 11111111..., is "
        "22222222...; window was null, is [9, 9]; stride was null, is [3, 3]; take another folder, "
        "or --overwrite to replace them"
    )
    # Replaced, and a job that was stopped meanwhile does not take the others for its own.
    assert job(record=other, overwrite=True).predicted == 5
    assert job(record=other).finished == 5
    assert job(record=Record(**{**vars(other), "config": "moved/config.py"})).finished == 5


def test_files_of_others_are_left_alone(job, tmp_path: Path) -> None:
    """As the labels of a data set, in whose folder predictions are to be written."""
    (tmp_path / "out/labels").mkdir(parents=True)
    (tmp_path / "out/labels/truth.png").touch()
    with pytest.raises(ValueError, match="has a folder labels that this tool did not write"):
        job(overwrite=True)
    assert [path.name for path in (tmp_path / "out").rglob("*.*")] == ["truth.png"]


def test_a_full_disk_stops(job, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*arguments: object) -> None:
        raise OSError(28, "No space left on device", "a.png")

    monkeypatch.setattr("mmseg_pointrend.inference.folder.write_labels", write)
    with pytest.raises(OSError, match="No space left"):
        job()


def test_names_that_are_too_long_are_bad_pictures(job, data: Path) -> None:
    name = "x" * 251
    os.rename(data / "0/0.png", data / f"0/{name}.png")
    report = job()
    (failure,) = report.failures
    assert "the name is too long" in failure.reason and report.predicted == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("workers", [0, 1])
def test_signals_stop_and_leave_whole_files(
    job, data: Path, tmp_path: Path, number: int, workers: int
) -> None:
    class Slow(Remainders):
        def test_step(self, data: dict) -> list:
            if len(self.batches) == 2:
                os.kill(os.getpid(), number)
                time.sleep(0.2)
            return super().test_step(data)

    before = signal.getsignal(number)
    report = job(Slow(), workers=workers)
    assert (report.stopped, report.predicted) == (number, 2)
    assert "2 of 5 pictures predicted; stopped: the same command goes on" in report.describe()
    assert signal.getsignal(number) == before
    check_labels(data, tmp_path / "out", 2)
    again = job()
    assert (again.finished, again.predicted) == (2, 3)


def test_in_a_thread_signals_are_left_alone(job) -> None:
    found = []
    thread = threading.Thread(target=lambda: found.append(job()))
    thread.start()
    thread.join()
    assert found[0].predicted == 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(batch_size=0), "batch_size must be 1 or more, got 0"),
        (dict(workers=-1), "workers must be 0 or more, got -1"),
    ],
)
def test_mistakes(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        JobSettings(**settings)
