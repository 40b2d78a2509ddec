"""The stand-in for mmcv._ext; what needs a fresh interpreter runs in one."""

import copy
import importlib
import inspect
import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

import mmseg_pointrend
from mmseg_pointrend.compat.mmcv_ext import EXTENSION, install_stand_in, is_stand_in


@pytest.fixture
def extension():
    install_stand_in()
    extension = importlib.import_module(EXTENSION)
    if not is_stand_in(extension):
        pytest.skip("a compiled mmcv is installed")
    return extension


def run_python(*arguments: str) -> subprocess.CompletedProcess:
    """Run a fresh interpreter that finds this package, installed or not."""
    here = str(Path(mmseg_pointrend.__file__).parents[1])
    path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "PYTHONPATH": path},
    )


def run_code(code: str) -> subprocess.CompletedProcess:
    """Run `code` in a fresh interpreter."""
    return run_python("-c", textwrap.dedent(code))


def test_installing_again_adds_no_second_finder():
    install_stand_in()
    before = list(sys.meta_path)
    install_stand_in()
    assert sys.meta_path == before


def test_an_op_raises_only_when_called_and_names_itself(extension):
    with pytest.raises(RuntimeError, match=r"'softnms'.*mmcv-lite.*pip install mmcv==2\.1\.0"):
        extension.softnms(torch.rand(2, 4), iou_threshold=0.5)


def test_an_op_keeps_its_identity_so_that_it_can_be_pickled_and_copied(extension):
    assert extension.nms is extension.nms
    assert pickle.loads(pickle.dumps(extension.nms)) is extension.nms
    assert copy.copy(extension.nms) is extension.nms


@pytest.mark.parametrize("name", ["__file__", "__path__", "__wrapped__", "_private"])
def test_names_python_asks_for_are_not_ops(extension, name):
    with pytest.raises(AttributeError, match=name):
        getattr(extension, name)


def test_inspection_does_not_mistake_the_stand_in(extension):
    assert inspect.getmodule(extension.nms) is extension
    assert inspect.unwrap(extension.nms) is extension.nms


def test_torch_only_ops_of_mmcv_work(extension):
    from mmcv.ops import point_sample

    # The centre of a 2x2 map with values 0..3 lies between all four.
    feature = torch.arange(4.0).reshape(1, 1, 2, 2)
    assert point_sample(feature, torch.tensor([[[0.5, 0.5]]])).item() == 1.5


def test_collecting_the_environment_for_a_bug_report_works(extension):
    from mmcv.ops import get_compiler_version, get_compiling_cuda_version

    assert get_compiler_version() == get_compiling_cuda_version() == "not compiled (mmcv-lite)"


def test_importing_the_package_imports_neither_torch_nor_any_mm_package():
    result = run_code("""
        import sys
        import mmseg_pointrend
        import mmseg_pointrend.compat
        heavy = {"torch", "numpy", "mmcv", "mmengine", "mmseg"} & {
            name.partition(".")[0] for name in sys.modules
        }
        assert not heavy, heavy
    """)
    assert result.returncode == 0, result.stderr


def test_it_also_helps_after_mmcv_ops_failed_to_import(extension):
    result = run_code("""
        try:
            import mmcv.ops
        except ModuleNotFoundError as error:
            assert error.name == "mmcv._ext", error
        else:
            raise AssertionError("mmcv.ops was importable without the stand-in")
        import mmseg_pointrend
        from mmcv.ops import point_sample
    """)
    assert result.returncode == 0, result.stderr


def test_a_real_extension_goes_first(tmp_path):
    package = tmp_path / "mmcv"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "_ext.py").write_text("nms = 'compiled'\n")
    result = run_code(f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        import mmseg_pointrend
        import mmcv._ext
        assert mmcv._ext.nms == "compiled"
        assert not hasattr(mmcv._ext, "softnms")
    """)
    assert result.returncode == 0, result.stderr


def test_a_broken_real_extension_fails_with_its_own_error(tmp_path):
    package = tmp_path / "mmcv"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "_ext.py").write_text("raise ImportError('undefined symbol: built for torch X')\n")
    result = run_code(f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        import mmseg_pointrend
        try:
            import mmcv._ext
        except ImportError as error:
            assert "undefined symbol" in str(error), error
        else:
            raise AssertionError("the stand-in hid the error")
    """)
    assert result.returncode == 0, result.stderr


# What a training script is for a dataloader worker: the worker imports it under another name.
SPAWN_SCRIPT = """
import sys

import mmseg_pointrend

if __name__ == "__main__":
    from mmseg_pointrend.compat import setup

    setup()
    from mmengine.dataset import pseudo_collate
    from mmseg.datasets import CityscapesDataset
    from mmseg.utils import register_all_modules
    from torch.utils.data import DataLoader

    register_all_modules()
    class_names = ("road", "car")
    dataset = CityscapesDataset(
        data_root=sys.argv[1],
        data_prefix=dict(img_path="img", seg_map_path="seg"),
        metainfo=dict(classes=class_names, palette=[[0, 0, 0], [9, 9, 9]]),
        img_suffix=".png",
        seg_map_suffix=".png",
        pipeline=[dict(type="LoadImageFromFile"), dict(type="PackSegInputs", meta_keys=())],
    )
    loader = DataLoader(
        dataset,
        batch_size=2,
        num_workers=1,
        multiprocessing_context="spawn",
        collate_fn=pseudo_collate,
    )
    shapes = [tuple(image.shape) for batch in loader for image in batch["inputs"]]
    assert shapes == [(3, 5, 7), (3, 5, 7)], shapes
    print("loaded")
"""


def test_spawned_dataloader_workers_of_a_script_that_imports_the_package_at_its_top(tmp_path):
    import cv2
    import numpy as np

    for folder in ("img", "seg"):
        (tmp_path / folder).mkdir()
        for name in ("a", "b"):
            image = np.zeros((5, 7, 3) if folder == "img" else (5, 7), np.uint8)
            cv2.imwrite(str(tmp_path / folder / f"{name}.png"), image)
    script = tmp_path / "train.py"
    script.write_text(SPAWN_SCRIPT)
    result = run_python(str(script), str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert "loaded" in result.stdout
