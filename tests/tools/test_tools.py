"""The tools on real files: each as a real process once, the rest within this one."""

import os
import re
from pathlib import Path

import mmseg
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from PIL import Image

from mmseg_pointrend.apis.configs import prepare_config
from tests.tools.commands import ROOT, run, tool
from tests.tools.folders import (
    SHALLOW,
    THIN,
    small_options,
    write_ade20k,
    write_cityscapes,
    write_two_classes,
)

CITYSCAPES = "configs/pointrend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py"
ADE20K = "configs/pointrend/pointrend_r50_4xb4-160k_ade20k-512x512.py"

pytestmark = pytest.mark.slow


def check_comparison(text: str, *classes: str) -> None:
    """A test has printed the coarse prediction's numbers beside the refined one's."""
    results = re.findall(r"Iter\(test\).*", text)[-1]
    numbers = {name: float(value) for name, value in re.findall(r" ([\w/@.]+): ([-\d.]+)", results)}
    for measure in ("mIoU", "trimap/mIoU_8px", "trimap/mIoU_20px", "boundary/mIoU_0.02"):
        coarse, refined, gain = (
            numbers[f"{kind}/{measure}"] for kind in ("coarse", "refined", "gain")
        )
        assert 0 <= coarse <= 100 and 0 <= refined <= 100
        assert gain == pytest.approx(refined - coarse, abs=1e-3)
        assert re.search(rf"\| {measure} +\| +{coarse:.2f} \| +{refined:.2f} \|", text)
    assert numbers["refined/mIoU"] == pytest.approx(numbers["mIoU"], abs=1e-3)
    for name in (*classes, r"IoU \(%\)"):
        assert len(re.findall(rf"\| {name} +\|(?: +\S+ \|){{3}}", text)) == 1


def test_cityscapes_train_resume_test(tmp_path: Path, call_tool) -> None:
    """A config with SyncBN and all, of fewer channels: from PNG files to numbers and pictures."""
    data, work = write_cityscapes(tmp_path / "data"), tmp_path / "work"
    config = ROOT / CITYSCAPES
    first = call_tool(
        "train.py", config, "--work-dir", work, *small_options(data, workers=1), *THIN
    )
    assert re.search(r"Iter\(val\).*mIoU: \d", first)
    checkpoint = torch.load(work / "iter_2.pth", weights_only=True)
    assert checkpoint["meta"]["iter"] == 2

    again = call_tool(
        "train.py", config, "--work-dir", work, "--resume", *small_options(data, 4), *THIN
    )
    assert "resumed epoch: 0, iter: 2" in again
    checkpoint = torch.load(work / "iter_4.pth", weights_only=True)
    assert checkpoint["meta"]["iter"] == 4

    def test(out: Path, shown: Path, *extra: str) -> list[object]:
        return [
            "test.py", config, work / "iter_4.pth", "--work-dir", work, "--out", out,
            "--show-dir", shown, *extra, *small_options(data), *THIN,
        ]  # fmt: skip

    for number, extra in enumerate(((), ("--tta",))):
        out, shown = tmp_path / f"out{number}", tmp_path / f"show{number}"
        if extra:
            printed = call_tool(*test(out, shown, *extra))
        else:
            tested = tool(*test(out, shown), cwd=tmp_path)
            printed = tested.stdout + tested.stderr
        check_comparison(printed, "road", "bicycle")
        names = {f"munster/munster_00000{i}_000019_leftImg8bit.png" for i in range(2)}
        assert {path.relative_to(out).as_posix() for path in out.rglob("*.png")} == names
        for name in names:
            labels = np.array(Image.open(out / name))
            assert labels.shape == (67, 131) and labels.max() < 19
        pictures = [Image.open(path) for path in shown.rglob("*.jpg")]
        assert [picture.size for picture in pictures] == [(2 * 131, 67)] * 2


def test_ade20k_train_and_test(tmp_path: Path, call_tool) -> None:
    """Label 0 of the data set's files is ignored (reduce_zero_label); ours count from 0."""
    data, work = write_ade20k(tmp_path / "data"), tmp_path / "work"
    options = ("--work-dir", work, *small_options(data), *SHALLOW)
    call_tool("train.py", ROOT / ADE20K, *options)
    printed = call_tool(
        "test.py", ROOT / ADE20K, work / "iter_2.pth", "--out", tmp_path / "out", *options
    )
    check_comparison(printed, "wall", "flag")
    written = list((tmp_path / "out").iterdir())
    assert len(written) == 2
    for path in written:
        labels = np.array(Image.open(path))
        assert labels.shape == (67, 131) and labels.max() < 150


def test_two_classes_of_ones_own(tmp_path: Path, call_tool) -> None:
    """The template config, one logit for two classes: train, test, test with augmentation."""
    data, work = write_two_classes(tmp_path / "data"), tmp_path / "work"
    config = ROOT / "configs/pointrend/pointrend_r50_my-dataset-512x1024.py"
    options = ("--work-dir", work, *small_options(data), *SHALLOW)
    printed = call_tool("train.py", config, *options)
    assert "train_dataloader.dataset: 4 pictures in" in printed
    for number, extra in enumerate(((), ("--tta",))):
        out = tmp_path / f"out{number}"
        printed = call_tool(
            "test.py", config, work / "iter_2.pth", "--out", out, *extra, *options,
            "model.decode_head.threshold=0.4",
        )  # fmt: skip
        check_comparison(printed, "background", "crack")
        assert "test_dataloader.dataset: 2 pictures in" in printed
        for path in out.iterdir():
            labels = np.array(Image.open(path))
            assert labels.shape == (67, 131) and set(np.unique(labels)) <= {0, 1}
        assert len(list(out.iterdir())) == 2


def test_predict_a_file(tmp_path: Path, call_tool) -> None:
    """At once and in windows larger than the image: the same labels, by the same weights."""
    pixels = np.random.default_rng(0).integers(0, 256, (67, 131, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    config = ROOT / "configs/pointrend/pointrend_r18-small_1xb4-1k_demo-scenes-128x256.py"
    torch.manual_seed(0)
    model = MODELS.build(prepare_config(config).model)
    for parameter in model.decode_head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / "weights.pth")

    given = ("predict.py", config, "weights.pth", "image.png", "--out")
    tool(*given, "whole.png", cwd=tmp_path)
    call_tool(*given, "window.png", "--window", 999, 999)
    call_tool(*given, "windows.png", "--window", 50, 60)
    whole, window, windows = (
        np.array(Image.open(tmp_path / f"{name}.png")) for name in ("whole", "window", "windows")
    )
    assert whole.shape == windows.shape == (67, 131) and whole.dtype == np.uint8
    assert 1 < len(np.unique(whole)) and whole.max() < 9
    assert np.array_equal(whole, window) and not np.array_equal(whole, windows)
    assert 0.1 < (whole == windows).mean()


def test_spawned_data_loader_workers(tmp_path: Path) -> None:
    """Where processes are spawned (macOS, Windows), workers too must import mmseg on mmcv-lite."""
    data = write_cityscapes(tmp_path / "data")
    options = [*small_options(data, workers=1), "env_cfg.mp_cfg.mp_start_method=spawn", *SHALLOW]
    tool("train.py", ROOT / CITYSCAPES, "--work-dir", tmp_path / "work", *options, cwd=tmp_path)


def predict_by_mmsegmentation(checkpoint: Path, data: Path, out: Path) -> None:
    """Save random weights of mmsegmentation's own PointRend, and the label maps they give."""
    folder = Path(mmseg.__file__).parent / ".mim/configs/point_rend"
    config = Config.fromfile(folder / "pointrend_r50_4xb2-80k_cityscapes-512x1024.py")
    config.model.pretrained = None
    config.model.test_cfg.subdivision_num_points = 8192
    torch.manual_seed(0)
    init_default_scope("mmseg")
    model = MODELS.build(config.model).eval()
    for head in model.decode_head:
        for parameter in head.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    meta = dict(mmseg_version="0.17", CLASSES=("road",), PALETTE=[[1, 2, 3]], iter=1)
    torch.save(dict(meta=meta, state_dict=model.state_dict()), checkpoint)
    for path in sorted(data.rglob("leftImg8bit/val/*/*.png")):
        image = torch.from_numpy(np.array(Image.open(path))[..., ::-1].copy()).permute(2, 0, 1)
        with torch.no_grad():
            batch = model.data_preprocessor(dict(inputs=[image]), training=False)
            labels = model(batch["inputs"], mode="predict")[0].pred_sem_seg.data[0]
        Image.fromarray(labels.numpy().astype(np.uint8)).save(out / path.name)


def test_mmsegmentations_checkpoint_loads_without_conversion(tmp_path: Path, call_tool) -> None:
    """A checkpoint of mmsegmentation's own PointRend, tested by ours, gives its own predictions."""
    data = write_cityscapes(tmp_path / "data")
    checkpoint, expected, out = tmp_path / "theirs.pth", tmp_path / "expected", tmp_path / "out"
    expected.mkdir()
    predict_by_mmsegmentation(checkpoint, data, expected)
    text = call_tool(
        "test.py", ROOT / CITYSCAPES, checkpoint, "--work-dir", tmp_path / "work", "--out", out,
        *small_options(data),
    )  # fmt: skip
    assert "load checkpoint" in text.lower()
    assert "unexpected key" not in text and "missing keys" not in text
    assert len(list(expected.iterdir())) == 2
    for path in expected.iterdir():
        theirs, ours = (
            np.array(Image.open(folder / path.name)) for folder in (expected, out / "munster")
        )
        assert len(np.unique(theirs)) > 1
        assert (theirs != ours).mean() < 1e-3


def test_help_names_the_options(call_tool) -> None:
    for name, options in (
        ("train.py", ["--work-dir", "--resume", "--amp", "--cfg-options", "--launcher"]),
        ("test.py", ["--work-dir", "--tta", "--out", "--show-dir", "--cfg-options", "--launcher"]),
        ("predict.py", ["--out", "--window", "--stride", "--device", "--cfg-options"]),
        ("demo.py", ["--seeds", "--work-dir"]),
    ):
        text = call_tool(name, "--help")
        assert all(option in text for option in options)


@pytest.mark.parametrize(
    "script",
    ["dist_launch", "dist_train", "dist_test", "slurm_launch", "slurm_train", "slurm_test"],
)
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
def test_slurm_scripts_call_srun(
    script: str, arguments: list, expected: str, tmp_path, monkeypatch
) -> None:
    """A stand-in for srun prints what it was asked to run."""
    srun = tmp_path / "srun"
    srun.write_text('#!/usr/bin/env bash\nprintf "%s|" "$@" "${MASTER_PORT:-}"\n')
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("MASTER_PORT", raising=False)
    printed = run(ROOT / f"tools/{script}.sh", *arguments, cwd=tmp_path).stdout
    assert "--partition=part|--job-name=job|--gres=gpu:4|--ntasks=4" in printed
    assert expected in printed
    # The tasks choose a port by the number of their job, unless they are told one.
    assert printed.endswith("||")
    monkeypatch.setenv("MASTER_PORT", "29500")
    printed = run(ROOT / f"tools/{script}.sh", *arguments, cwd=tmp_path).stdout
    assert printed.endswith("|29500|")
