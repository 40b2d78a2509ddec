"""tools/predict.py on folders: as processes, side by side, stopped, and its mistakes in a line."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS
from PIL import Image
from torch import nn

from mmseg_pointrend.apis.configs import prepare_config
from tests.engine.kills import write_config
from tests.tools.commands import ROOT, run

pytestmark = pytest.mark.slow

COUNT = 12


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Config, weights, and a folder of pictures, one of them damaged."""
    folder = tmp_path_factory.mktemp("given")
    config = write_config(folder, iterations=6)
    torch.manual_seed(0)
    model = MODELS.build(prepare_config(config).model)
    for parameter in model.decode_head.parameters():
        nn.init.normal_(parameter, std=0.3)
    weights = folder / "weights.pth"
    torch.save(dict(state_dict=model.state_dict(), meta={}), weights)
    pictures = folder / "pictures"
    rng = np.random.default_rng(0)
    for number in range(COUNT):
        path = pictures / f"{number % 3}/{number // 3}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (33, 45, 3)).astype(np.uint8)).save(path)
    (pictures / "damaged.jpg").write_bytes(b"\xff\xd8\xff and no more")
    (pictures / "notes.json").touch()
    return config, weights, pictures


def label_maps(out: Path) -> dict[str, bytes]:
    folder = out / "labels"
    return {
        path.relative_to(folder).as_posix(): np.array(Image.open(path)).tobytes()
        for path in folder.rglob("*.png")
    }


def test_processes_share_the_work(given, tmp_path: Path, call_tool, capfd) -> None:
    """Two of torchrun: each takes its pictures, and the one with a bad file ends no other."""
    tool = ROOT / "tools/predict.py"
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    ended = run(*torchrun, tool, *given, "--out", tmp_path / "two", cwd=tmp_path, fails=True)
    assert ended.returncode == 1
    assert "; share 0/2" in ended.stdout and "; share 1/2" in ended.stdout
    assert "6 of 7 pictures predicted; 1 could not be predicted:" in ended.stdout or (
        "5 of 6 pictures predicted; 1 could not be predicted:" in ended.stdout
    )
    assert f"  image {given[2]}/damaged.jpg is damaged" in ended.stdout
    assert call_tool.status("predict.py", *given, "--out", "one", "--workers", 1) == 1
    assert f"13 pictures in {given[2]}, passed over: 1 *.json" in "".join(capfd.readouterr())
    found = label_maps(tmp_path / "two")
    assert len(found) == COUNT and found == label_maps(tmp_path / "one")


def test_shares_one_after_the_other(given, tmp_path: Path, call_tool) -> None:
    """As the tasks of a Slurm array; only the one with the damaged picture fails."""
    config, weights, pictures = given
    statuses = []
    for share in ("0/3", "1/3", "2/3"):
        arguments = ("predict.py", config, weights, pictures, "--out", "out", "--share", share)
        statuses.append(call_tool.status(*arguments))
    assert sorted(statuses) == [0, 0, 1]
    assert len(label_maps(tmp_path / "out")) == COUNT


def test_everything_at_once_and_again(given, tmp_path: Path, call_tool) -> None:
    config, weights, pictures = given
    arguments = (
        "predict.py", config, weights, f"{pictures}/[01]", "--out", "out", "--overlays",
        "--confidence", "--batch-size", 3, "--workers", 1,
    )  # fmt: skip
    printed = call_tool(*arguments)
    assert f"8 pictures in {pictures}" in printed and "8 of 8 pictures predicted" in printed
    for kind, ending in (("labels", "png"), ("confidence", "png"), ("overlays", "jpg")):
        found = {path.relative_to(tmp_path / "out" / kind) for path in
                 (tmp_path / "out" / kind).rglob(f"*.{ending}")}  # fmt: skip
        assert found == {Path(f"{i}/{j}.{ending}") for i in range(2) for j in range(4)}
    assert "0 of 8 pictures predicted, 8 were finished before" in call_tool(*arguments)
    said = call_tool.fail(*arguments, "--window", 16, 16)
    assert "error: batch_size must be 1 with windows" in said
    said = call_tool.fail(*arguments[:-4], "--window", 16, 16)
    assert re.search("error: out .*/out holds predictions by something else: window was null", said)
    call_tool(*arguments[:-4], "--window", 16, 16, "--overwrite")


def test_a_stopped_job_goes_on(given, tmp_path: Path, call_tool) -> None:
    """Many pictures, so that the signal comes in between; the same command does the others."""
    config, weights, pictures = given
    many = tmp_path / "many"
    many.mkdir()
    for index in range(200):
        (many / f"{index}.png").write_bytes((pictures / "0/0.png").read_bytes())
    arguments = (config, weights, many, "--out", "out", "--workers", 1)
    command = (sys.executable, ROOT / "tools/predict.py", *arguments)
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    process = subprocess.Popen(
        list(map(str, command)), cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE
    )
    while not len(list(tmp_path.glob("out/labels/*.png"))):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=100)
    assert process.returncode == 143, printed
    done = int(re.search(r"(\d+) of 200 pictures predicted; stopped", printed)[1])
    assert 0 < done < 200 and len(label_maps(tmp_path / "out")) == done
    printed = call_tool("predict.py", *arguments)
    assert f"{200 - done} of 200 pictures predicted, {done} were finished" in printed
    assert len(set(label_maps(tmp_path / "out").values())) == 1


def test_mistakes(given, tmp_path: Path, call_tool) -> None:
    config, weights, pictures = given
    for arguments, message in (
        (("nowhere", "--out", "out"), "input nowhere does not exist"),
        ((pictures, "--out", "out", "--share", "2/2"), "share must be K/N"),
        ((pictures, "--out", "out.png"), "--out must be a folder for several pictures"),
        ((pictures / "0/0.png", "--out", "a.png", "--overlays"), "--overlays needs a folder"),
        ((config.parent / "data/labels", "--out", config.parent / "data"), "no pictures found"),
    ):
        assert message in call_tool.fail("predict.py", config, weights, *arguments)
    assert not (tmp_path / "out").exists()
