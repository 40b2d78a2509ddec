"""The tools as real processes on real files."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tools.folders import (
    small_options,
    write_ade20k,
    write_cityscapes,
    write_two_classes,
)

ROOT = Path(__file__).parents[2]
CITYSCAPES = "configs/pointrend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py"
ADE20K = "configs/pointrend/pointrend_r50_4xb4-160k_ade20k-512x512.py"

pytestmark = pytest.mark.slow


def run(*command: object, cwd: Path, fails: bool = False) -> subprocess.CompletedProcess:
    """Run a command from another folder than the clone, one thread a process."""
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=dict(os.environ, OMP_NUM_THREADS="1", PYTHON=sys.executable),
        capture_output=True,
        text=True,
    )
    if not fails:
        assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result


def tool(name: str, *arguments: object, cwd: Path, **kwargs: bool) -> subprocess.CompletedProcess:
    return run(sys.executable, ROOT / "tools" / name, *arguments, cwd=cwd, **kwargs)


def check_comparison(tested: subprocess.CompletedProcess, *classes: str) -> None:
    """A test has printed the coarse prediction's numbers beside the refined one's."""
    text = tested.stdout + tested.stderr
    results = re.findall(r"Iter\(test\).*", text)[-1]
    numbers = {name: float(value) for name, value in re.findall(r" ([\w/@.]+): ([-\d.]+)", results)}
    for measure in ("mIoU", "trimap/mIoU@8px", "trimap/mIoU@20px", "boundary/mIoU@0.02"):
        coarse, refined, gain = (
            numbers[f"{kind}/{measure}"] for kind in ("coarse", "refined", "gain")
        )
        assert 0 <= coarse <= 100 and 0 <= refined <= 100
        assert gain == pytest.approx(refined - coarse, abs=1e-3)
        assert re.search(rf"\| {measure} +\| +{coarse:.2f} \| +{refined:.2f} \|", text)
    assert numbers["refined/mIoU"] == pytest.approx(numbers["mIoU"], abs=1e-3)
    for name in (*classes, r"IoU \(%\)"):
        assert len(re.findall(rf"\| {name} +\|(?: +\S+ \|){{3}}", text)) == 1


def free_port() -> str:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return str(server.getsockname()[1])


def test_cityscapes_train_resume_test(tmp_path: Path) -> None:
    """An unedited config (SyncBN and all) from PNG files to numbers, label maps and pictures."""
    data, work = write_cityscapes(tmp_path / "data"), tmp_path / "work"
    config = ROOT / CITYSCAPES
    first = tool("train.py", config, "--work-dir", work, *small_options(data), cwd=tmp_path)
    assert re.search(r"Iter\(val\).*mIoU: \d", first.stdout + first.stderr)
    checkpoint = torch.load(work / "iter_2.pth", weights_only=True)
    assert checkpoint["meta"]["iter"] == 2

    again = tool(
        "train.py", config, "--work-dir", work, "--resume", *small_options(data, 4), cwd=tmp_path
    )
    assert "resumed epoch: 0, iter: 2" in again.stdout + again.stderr
    checkpoint = torch.load(work / "iter_4.pth", weights_only=True)
    assert checkpoint["meta"]["iter"] == 4

    for extra in ((), ("--tta",)):
        out, shown = tmp_path / f"out{len(extra)}", tmp_path / f"show{len(extra)}"
        tested = tool(
            "test.py", config, work / "iter_4.pth", "--work-dir", work, "--out", out,
            "--show-dir", shown, *extra, *small_options(data), cwd=tmp_path,
        )  # fmt: skip
        check_comparison(tested, "road", "bicycle")
        names = {"munster_000000_000019_leftImg8bit.png", "munster_000001_000019_leftImg8bit.png"}
        assert {path.name for path in out.iterdir()} == names
        for name in names:
            labels = np.array(Image.open(out / name))
            assert labels.shape == (67, 131) and labels.max() < 19
        assert len(list(shown.rglob("*.png"))) == 2


def test_ade20k_train_and_test(tmp_path: Path) -> None:
    """Label 0 is ignored (reduce_zero_label); written label maps use the data set's own values."""
    data, work = write_ade20k(tmp_path / "data"), tmp_path / "work"
    config = ROOT / ADE20K
    tool("train.py", config, "--work-dir", work, *small_options(data), cwd=tmp_path)
    tested = tool(
        "test.py", config, work / "iter_2.pth", "--work-dir", work, "--out", tmp_path / "out",
        *small_options(data), cwd=tmp_path,
    )  # fmt: skip
    check_comparison(tested, "wall", "flag")
    for path in (tmp_path / "out").iterdir():
        labels = np.array(Image.open(path))
        assert labels.shape == (67, 131) and 1 <= labels.min() and labels.max() <= 150


def test_two_classes_of_ones_own(tmp_path: Path) -> None:
    """The template config, one logit for two classes: train, test, test with augmentation."""
    data, work = write_two_classes(tmp_path / "data"), tmp_path / "work"
    config = ROOT / "configs/pointrend/pointrend_r50_my-dataset-512x1024.py"
    tool("train.py", config, "--work-dir", work, *small_options(data), cwd=tmp_path)
    for number, extra in enumerate(((), ("--tta",))):
        out = tmp_path / f"out{number}"
        tested = tool(
            "test.py", config, work / "iter_2.pth", "--work-dir", work, "--out", out, *extra,
            *small_options(data), "model.decode_head.threshold=0.4", cwd=tmp_path,
        )  # fmt: skip
        check_comparison(tested, "background", "crack")
        for path in out.iterdir():
            labels = np.array(Image.open(path))
            assert labels.shape == (67, 131) and set(np.unique(labels)) <= {0, 1}
        assert len(list(out.iterdir())) == 2


def test_predict_a_file(tmp_path: Path) -> None:
    """At once and in windows larger than the image: the same labels, by the same weights."""
    pixels = np.random.default_rng(0).integers(0, 256, (67, 131, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    script = """
import sys, torch, mmseg_pointrend.models
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

init_default_scope("mmseg")
torch.manual_seed(0)
model = MODELS.build(Config.fromfile(sys.argv[1]).model)
for parameter in model.decode_head.parameters():
    torch.nn.init.normal_(parameter, std=0.3)
torch.save(dict(state_dict=model.state_dict(), meta={}), "weights.pth")
"""
    config = ROOT / "configs/pointrend/pointrend_r18-small_1xb4-1k_demo-scenes-128x256.py"
    run(sys.executable, "-c", script, config, cwd=tmp_path)
    for name, window in (("whole", ()), ("window", (999, 999)), ("windows", (50, 60))):
        tool(
            "predict.py", config, "weights.pth", "image.png", "--out", f"{name}.png",
            *(("--window", *window) if window else ()), cwd=tmp_path,
        )  # fmt: skip
    whole, window, windows = (
        np.array(Image.open(tmp_path / f"{name}.png")) for name in ("whole", "window", "windows")
    )
    assert whole.shape == windows.shape == (67, 131) and whole.dtype == np.uint8
    assert 1 < len(np.unique(whole)) and whole.max() < 9
    assert np.array_equal(whole, window) and not np.array_equal(whole, windows)
    assert 0.1 < (whole == windows).mean()


def test_two_processes(tmp_path: Path) -> None:
    """dist_train.sh and dist_test.sh with two ranks: gloo, and no SyncBN, on a CPU."""
    data, work = write_cityscapes(tmp_path / "data"), tmp_path / "work"
    config = ROOT / CITYSCAPES
    os.environ["PORT"] = free_port()
    try:
        trained = run(
            ROOT / "tools/dist_train.sh", config, 2, "--work-dir", work, *small_options(data),
            cwd=tmp_path,
        )  # fmt: skip
        assert "Distributed launcher: pytorch" in trained.stdout + trained.stderr
        assert "GPU number: 2" in trained.stdout + trained.stderr
        run(
            ROOT / "tools/dist_test.sh", config, work / "iter_2.pth", 2, "--work-dir", work,
            *small_options(data), cwd=tmp_path,
        )  # fmt: skip
    finally:
        del os.environ["PORT"]
    single = tool(
        "test.py", config, work / "iter_2.pth", "--work-dir", work, *small_options(data),
        cwd=tmp_path,
    )  # fmt: skip
    scores = [
        re.findall(r'"mIoU": ([\d.]+)', path.read_text())
        for path in sorted(work.glob("*/*.json"))
        if "mIoU" in path.read_text() and "loss" not in path.read_text()
    ]
    assert len(scores) == 2 and scores[0] == scores[1], single.stdout[-2000:]


def test_spawned_data_loader_workers(tmp_path: Path) -> None:
    """Where processes are spawned (macOS, Windows), workers too must import mmseg on mmcv-lite."""
    data = write_cityscapes(tmp_path / "data")
    options = [*small_options(data), "env_cfg.mp_cfg.mp_start_method=spawn"]
    tool("train.py", ROOT / CITYSCAPES, "--work-dir", tmp_path / "work", *options, cwd=tmp_path)


def test_mmsegmentations_checkpoint_loads_without_conversion(tmp_path: Path) -> None:
    """A checkpoint of mmsegmentation's own PointRend, tested by ours, gives its own predictions."""
    data = write_cityscapes(tmp_path / "data")
    script = """
import sys, torch, mmseg_pointrend
from mmengine.config import Config
from mmengine.registry import init_default_scope
import mmseg.models
from mmseg.registry import MODELS
from pathlib import Path
import numpy as np
from PIL import Image

init_default_scope("mmseg")
folder = Path(mmseg.__file__).parent / ".mim/configs/point_rend"
config = Config.fromfile(folder / "pointrend_r50_4xb2-80k_cityscapes-512x1024.py")
config.model.pretrained = None
config.model.test_cfg.subdivision_num_points = 8192
torch.manual_seed(0)
model = MODELS.build(config.model).eval()
for head in model.decode_head:
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
meta = dict(mmseg_version="0.17", CLASSES=("road",), PALETTE=[[1, 2, 3]], iter=1)
torch.save(dict(meta=meta, state_dict=model.state_dict()), sys.argv[1])
for path in sorted(Path(sys.argv[2]).rglob("leftImg8bit/val/*/*.png")):
    image = torch.from_numpy(np.array(Image.open(path))[..., ::-1].copy()).permute(2, 0, 1)
    with torch.no_grad():
        batch = model.data_preprocessor(dict(inputs=[image]), training=False)
        labels = model(batch["inputs"], mode="predict")[0].pred_sem_seg.data[0]
    Image.fromarray(labels.numpy().astype(np.uint8)).save(Path(sys.argv[3]) / path.name)
"""
    checkpoint, expected, out = tmp_path / "theirs.pth", tmp_path / "expected", tmp_path / "out"
    expected.mkdir()
    run(sys.executable, "-c", script, checkpoint, data, expected, cwd=tmp_path)
    tested = tool(
        "test.py", ROOT / CITYSCAPES, checkpoint, "--work-dir", tmp_path / "work", "--out", out,
        *small_options(data), cwd=tmp_path,
    )  # fmt: skip
    text = tested.stdout + tested.stderr
    assert "unexpected key" not in text and "missing keys" not in text
    assert len(list(expected.iterdir())) == 2
    for path in expected.iterdir():
        theirs, ours = (np.array(Image.open(folder / path.name)) for folder in (expected, out))
        assert len(np.unique(theirs)) > 1
        assert (theirs != ours).mean() < 1e-3


def test_help_names_the_options() -> None:
    for name, options in (
        ("train.py", ["--work-dir", "--resume", "--amp", "--cfg-options", "--launcher"]),
        ("test.py", ["--work-dir", "--tta", "--out", "--show-dir", "--cfg-options", "--launcher"]),
        ("predict.py", ["--out", "--window", "--stride", "--device", "--cfg-options"]),
        ("demo.py", ["--seeds", "--work-dir"]),
    ):
        text = tool(name, "--help", cwd=ROOT).stdout
        assert all(option in text for option in options)


@pytest.mark.parametrize("script", ["dist_train", "dist_test", "slurm_train", "slurm_test"])
def test_scripts_say_how_they_are_used(script: str, tmp_path: Path) -> None:
    result = run(ROOT / f"tools/{script}.sh", cwd=tmp_path, fails=True)
    assert result.returncode == 2
    assert result.stderr.startswith("usage: ")


@pytest.mark.parametrize(
    ("script", "arguments", "expected"),
    [
        ("slurm_train", ["part", "job", "a config.py", "--amp"],
         "train.py|a config.py|--launcher|slurm|--amp"),
        ("slurm_test", ["part", "job", "c.py", "x.pth", "--tta"],
         "test.py|c.py|x.pth|--launcher|slurm|--tta"),
    ],
)  # fmt: skip
def test_slurm_scripts_call_srun(script: str, arguments: list, expected: str, tmp_path) -> None:
    """A stand-in for srun prints what it was asked to run."""
    srun = tmp_path / "srun"
    srun.write_text('#!/usr/bin/env bash\nprintf "%s|" "$@"\n')
    srun.chmod(0o755)
    path = os.environ["PATH"]
    os.environ["PATH"] = f"{tmp_path}:{path}"
    try:
        printed = run(ROOT / f"tools/{script}.sh", *arguments, cwd=tmp_path).stdout
    finally:
        os.environ["PATH"] = path
    assert "--partition=part|--job-name=job|--gres=gpu:4|--ntasks=4" in printed
    assert expected in printed
