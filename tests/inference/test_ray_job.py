"""A job on a Ray cluster of two machines: a process of one is killed, and the other is lost."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from mmengine.structures import PixelData
from PIL import Image
from torch import nn

from mmseg_pointrend.apis.prediction import predict_many
from mmseg_pointrend.inference.folder import JobFolder, Wanted
from mmseg_pointrend.inference.inputs import find_pictures
from mmseg_pointrend.inference.job import JobSettings
from mmseg_pointrend.inference.ray_job import Work, import_ray, run_on_ray
from mmseg_pointrend.inference.record import Record

COUNT = 96


def make_slow_model(machines: Path) -> nn.Module:
    """Make a model that takes a tenth of a second, and says on which machine: red modulo 3."""
    import ray
    from mmengine.registry import init_default_scope

    machine = machines / ray.get_runtime_context().get_node_id()

    class Slow(nn.Module):
        num_classes = 3
        follows_undo = True

        def test_step(self, data: dict) -> list:
            machine.write_text(str(os.getpid()))
            time.sleep(0.1)
            for pixels, sample in zip(data["inputs"], data["data_samples"], strict=True):
                labels = (pixels[-1:] % 3).long()
                sample.set_data(dict(pred_sem_seg=PixelData(data=labels)))
            return data["data_samples"]

    init_default_scope("mmseg")
    return Slow()


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """Pictures, one of them damaged, and what is to be done with them."""
    rng = np.random.default_rng(0)
    (tmp_path / "data").mkdir()
    for number in range(COUNT):
        pixels = rng.integers(0, 256, (5, 7, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"data/{number}.png")
    (tmp_path / "data/bad.png").write_bytes(b"no picture")
    folder = JobFolder(tmp_path / "out", Wanted([[9, 8, 7]] * 3))
    folder.open(Record("config.py", "0" * 64, "1" * 64, None, None, True, "/pictures"))
    pipeline = [dict(type="LoadImageFromFile"), dict(type="PackSegInputs")]
    (tmp_path / "machines").mkdir()
    make_model = partial(make_slow_model, tmp_path / "machines")
    return Work(make_model, pipeline, folder, JobSettings())


@pytest.fixture
def cluster() -> Iterator[object]:
    pytest.importorskip("ray.data", reason="python -m pip install 'mmseg-pointrend[ray]'")
    import ray
    from ray import cloudpickle
    from ray.cluster_utils import Cluster

    import tests.inference.test_ray_job as this

    cloudpickle.register_pickle_by_value(this)
    # A machine is given up after seconds, not after half a minute.
    patience = dict(health_check_period_ms=500, health_check_failure_threshold=4)
    found = Cluster(initialize_head=True, head_node_args=dict(num_cpus=1, _system_config=patience))
    yield found
    ray.shutdown()
    found.shutdown()


@pytest.mark.slow
def test_the_pictures_of_a_lost_machine_are_done_by_the_other(
    work: Work, cluster, tmp_path: Path
) -> None:
    lost = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    labels, machines = tmp_path / "out/labels", tmp_path / "machines"
    work_is_done = threading.Event()

    def lose() -> None:
        while not work_is_done.wait(0.02) and len(list(machines.iterdir())) < 2:
            pass
        # A process of the machine that stays, and the other machine with all that is on it.
        os.kill(int((machines / cluster.head_node.node_id).read_text()), signal.SIGKILL)
        cluster.remove_node(lost, allow_graceful=False)

    losing = threading.Thread(target=lose)
    losing.start()
    report = run_on_ray(work, find_pictures([tmp_path / "data"]).pictures, cluster.address)
    work_is_done.set()
    losing.join()
    assert len(list(machines.iterdir())) == 2  # the one that was lost had begun
    (failure,) = report.failures
    assert failure.picture.source.name == "bad.png" and "is damaged" in failure.reason
    assert (report.total, report.predicted) == (COUNT + 1, COUNT)
    for path in labels.glob("*.png"):
        red = np.array(Image.open(tmp_path / "data" / path.name))[..., 0]
        assert np.array_equal(np.array(Image.open(path)), red % 3)
    again = run_on_ray(work, find_pictures([tmp_path / "data"]).pictures, cluster.address)
    assert (again.finished, again.predicted, len(again.failures)) == (COUNT, 0, 1)


def test_without_ray_a_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"python -m pip install 'mmseg-pointrend\[ray\]'"):
        import_ray()
    with pytest.raises(ImportError, match="Ray is not installed"):
        predict_many("config.py", "weights.pth", ["pictures"], tmp_path / "out", ray="")
    assert not (tmp_path / "out").exists()
