"""Weights of detectron2 and of mmdet, in files of their names and shapes."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

from mmseg_pointrend.apis.configs import shipped_config
from mmseg_pointrend.compat.detectron2_weights import read_weights, rename_weights
from mmseg_pointrend.instance.detectron2 import MASK_RCNN
from tests.compat.detectron2_files import R50, Shapes, layer, resnet_and_fpn, write_pickle

CONFIG = "mask_rcnn/pointrend-mask-rcnn_r50-caffe_fpn_ms-1x_coco.py"


def build(config: Config) -> nn.Module:
    """A model without memory: its weights have shapes alone."""
    with DefaultScope.overwrite_default_scope("mmdet"), torch.device("meta"):
        config.model.backbone.init_cfg = None
        return MODELS.build(config.model)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return build(Config.fromfile(shipped_config(CONFIG)))


def shapes_there(version: int) -> Shapes:
    """Names and shapes of detectron2's model, R-50 with FPN, COCO."""
    yield from resnet_and_fpn(R50)
    head = "proposal_generator.rpn_head"
    yield from layer(f"{head}.conv", 256, 256, 3, 3)
    yield from layer(f"{head}.objectness_logits", 3, 256, 1, 1)
    yield from layer(f"{head}.anchor_deltas", 12, 256, 1, 1)
    yield "proposal_generator.anchor_generator.cell_anchors.0", (3, 4)
    yield from layer("roi_heads.box_head.fc1", 1024, 256 * 49)
    yield from layer("roi_heads.box_head.fc2", 1024, 1024)
    yield from layer("roi_heads.box_predictor.cls_score", 81, 1024)
    yield from layer("roi_heads.box_predictor.bbox_pred", 320, 1024)
    old = version == 1
    coarse = "roi_heads.mask_coarse_head" if old else "roi_heads.mask_head.coarse_head"
    point = "roi_heads.mask_point_head" if old else "roi_heads.mask_head.point_head"
    fc = "coarse_mask_fc" if old else "fc"
    yield from layer(f"{coarse}.reduce_spatial_dim_conv", 256, 256, 2, 2)
    yield from layer(f"{coarse}.{fc}1", 1024, 256 * 49)
    yield from layer(f"{coarse}.{fc}2", 1024, 1024)
    yield from layer(f"{coarse}.prediction", 80 * 49, 1024)
    for number in (1, 2, 3):
        yield from layer(f"{point}.fc{number}", 256, 336, 1)
    yield from layer(f"{point}.predictor", 80, 336, 1)


@pytest.mark.slow
@pytest.mark.parametrize("version", [1, 2])
def test_every_weight_of_detectron2_finds_its_place(
    tmp_path: Path, model: nn.Module, version: int
) -> None:
    rng = np.random.default_rng(version)
    arrays = {
        name: rng.integers(0, 99, shape).astype(np.float32) for name, shape in shapes_there(version)
    }
    path = write_pickle(tmp_path / "model_final.pkl", arrays)
    found = rename_weights(path, read_weights(path), MASK_RCNN)
    expected = {n: tuple(w.shape) for n, w in model.state_dict().items()}
    expected = {n: s for n, s in expected.items() if not n.endswith("num_batches_tracked")}
    assert {name: tuple(values.shape) for name, values in found.items()} == expected
    one = "backbone.layer3.4.bn2.running_var", "backbone.bottom_up.res4.4.conv2.norm.running_var"
    last = "roi_head.mask_head.point_head.fcs.2.conv.bias"
    np.testing.assert_array_equal(found[one[0]], arrays[one[1]])
    point = "mask_point_head" if version == 1 else "mask_head.point_head"
    np.testing.assert_array_equal(found[last], arrays[f"roi_heads.{point}.fc3.bias"])


def test_weights_of_another_network(tmp_path: Path) -> None:
    path = write_pickle(tmp_path / "model.pkl", {"sem_seg_head.predictor.weight": np.zeros(3)})
    with pytest.raises(ValueError, match=r"1 of 1 entries are unknown, such as sem_seg_head\."):
        rename_weights(path, read_weights(path), MASK_RCNN)
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ValueError, match="are no dict of arrays, got list"):
        read_weights(path)


def test_mmdets_published_checkpoints_load_as_they_are(model: nn.Module) -> None:
    there = build(Config.fromfile(mmdet_config("point-rend_r50-caffe_fpn_ms-1x_coco.py")))
    state = {name: torch.empty_like(values) for name, values in there.state_dict().items()}
    assert "roi_head.point_head.fc_logits.weight" in state
    found = model.load_state_dict(state, assign=True)
    assert not found.missing_keys and not found.unexpected_keys


def mmdet_config(name: str) -> Path:
    import mmdet

    return Path(mmdet.__file__).parent / ".mim" / "configs" / "point_rend" / name
