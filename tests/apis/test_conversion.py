"""detectron2's SemanticFPN with PointRend: its weights here predict what they predict there."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmseg_pointrend.apis.configs import prepare_config, shipped_config
from mmseg_pointrend.compat.detectron2_weights import SEMANTIC_FPN, read_weights, rename_weights
from mmseg_pointrend.engine.weights_check import fit_weights, load_weights
from tests.compat.detectron2_files import R101, semantic_fpn, write_pickle
from tests.shallow import shallow_resnets

CONFIG = shipped_config("pointrend/pointrend_r101-caffe_8xb4-65k_cityscapes-512x1024.py")
#: Few enough that steps choose.
NUM_POINTS = 300


@pytest.fixture(scope="module", autouse=True)
def scope() -> Iterator[None]:
    """Types are mmsegmentation's, whatever other tests of this process have built."""
    with DefaultScope.overwrite_default_scope("mmseg"):
        yield


def build(**options: object) -> nn.Module:
    options = {f"model.decode_head.{key}": value for key, value in options.items()}
    return MODELS.build(prepare_config(CONFIG, options={"model.pretrained": None} | options).model)


def random_arrays(blocks: tuple[int, ...], classes: int) -> dict[str, np.ndarray]:
    """Weights by which signals neither fade nor grow, and no class wins everywhere."""
    rng, found = np.random.default_rng(0), {}
    for name, shape in semantic_fpn(blocks, classes):
        if name.endswith("norm.weight") or name.endswith("running_var"):
            values = rng.uniform(0.5, 1.0, shape)
        elif len(shape) > 1:
            values = rng.normal(0, np.prod(shape[1:]) ** -0.5, shape)
        else:
            values = rng.normal(0, 0.1, shape)
        found[name] = values.astype(np.float32)
    return found


class PublishedForward:
    """What detectron2's code computes, written from its architecture (see `compat`), in float64."""

    def __init__(self, arrays: dict[str, np.ndarray], blocks: tuple[int, ...]) -> None:
        self.weights = {name: torch.from_numpy(values).double() for name, values in arrays.items()}
        self.blocks = blocks

    def conv(self, name: str, x: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
        found = self.weights.get
        y = F.conv2d(x, found(f"{name}.weight"), found(f"{name}.bias"), stride, padding)
        scale, shift, mean, variance = (
            found(f"{name}.norm.{part}")
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        if mean is not None:
            return F.batch_norm(y, mean, variance, scale, shift, eps=1e-5)
        return y if scale is None else F.group_norm(y, 32, scale, shift, eps=1e-5)

    def pyramid(self, x: Tensor) -> list[Tensor]:
        x = F.relu(self.conv("backbone.bottom_up.stem.conv1", x, 2, 3))
        x = F.max_pool2d(x, 3, 2, 1)
        stages = []
        for stage, count in enumerate(self.blocks, 2):
            for block in range(count):
                name = f"backbone.bottom_up.res{stage}.{block}"
                stride = 2 if stage > 2 and block == 0 else 1
                y = F.relu(self.conv(f"{name}.conv1", x, stride))
                y = F.relu(self.conv(f"{name}.conv2", y, padding=1))
                y = self.conv(f"{name}.conv3", y)
                x = F.relu(y + (self.conv(f"{name}.shortcut", x, stride) if block == 0 else x))
            stages.append(x)
        maps, above = [], None
        for stage in (5, 4, 3, 2):
            lateral = self.conv(f"backbone.fpn_lateral{stage}", stages[stage - 2])
            if above is not None:
                lateral = lateral + F.interpolate(above, scale_factor=2, mode="nearest")
            maps.append(self.conv(f"backbone.fpn_output{stage}", lateral, padding=1))
            above = lateral
        return maps[::-1]

    def coarse(self, maps: list[Tensor]) -> Tensor:
        total, head = 0, "sem_seg_head.coarse_sem_seg_head"
        for level, x in enumerate(maps):
            for number in range(max(1, level)):
                x = F.relu(self.conv(f"{head}.p{level + 2}.{2 * number}", x, padding=1))
                if level:
                    x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            total = total + x
        return self.conv(f"{head}.predictor", total)

    def logits(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) pictures, blue first, -> (N, K, H, W)."""
        height, width = pictures.shape[2:]
        mean = torch.tensor([103.530, 116.280, 123.675])[:, None, None]
        x = F.pad((pictures.float() - mean).double(), (0, -width % 32, 0, -height % 32))
        maps = self.pyramid(x)
        coarse = logits = self.coarse(maps)
        for _ in range(2):
            logits = F.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)
            first, second = logits.topk(2, dim=1).values.unbind(1)
            side = logits.shape[3]
            chosen = (second - first).flatten(1).topk(NUM_POINTS, dim=1).indices
            points = torch.stack([chosen % side, chosen // side], dim=2).double() + 0.5
            points = points / torch.tensor([side, logits.shape[2]])
            y = torch.cat([sample(maps[0], points), sample(coarse, points)], dim=1)
            for number in (1, 2, 3):
                y = F.relu(self.point_layer(f"fc{number}", y))
            y = self.point_layer("predictor", y)
            places = chosen[:, None].expand_as(y)
            logits = logits.flatten(2).scatter(2, places, y).view_as(logits)
        return logits[..., :height, :width]

    def point_layer(self, name: str, x: Tensor) -> Tensor:
        weight, bias = (
            self.weights[f"sem_seg_head.point_head.{name}.{part}"] for part in ("weight", "bias")
        )
        return F.conv1d(x, weight, bias)


def sample(maps: Tensor, points: Tensor) -> Tensor:
    return F.grid_sample(maps, 2 * points[:, :, None] - 1, align_corners=False)[..., 0]


@torch.no_grad()
def test_logits_are_those_of_detectron2(tmp_path: Path, call_tool) -> None:
    blocks, classes = (2, 2, 2, 3), 7
    arrays = random_arrays(blocks, classes)
    write_pickle(tmp_path / "model_final.pkl", arrays)
    text = call_tool("convert_detectron2.py", "model_final.pkl", "converted.pth")
    assert text.strip() == f"Written: {len(arrays) - 2} weights to converted.pth"
    with shallow_resnets():
        model = build(num_classes=classes, **{"subdivision.num_points": NUM_POINTS})
    load_weights(model, tmp_path / "converted.pth")
    model.double().eval().predict_logits = True
    pictures = torch.randint(0, 256, (2, 3, 77, 131), generator=torch.Generator().manual_seed(0))
    samples = [SegDataSample(metainfo=dict(img_shape=(77, 131), ori_shape=(77, 131)))] * 2
    samples = [sample.clone() for sample in samples]
    data = model.data_preprocessor(dict(inputs=list(pictures), data_samples=samples))
    found = model.predict(data["inputs"].double(), data["data_samples"])
    logits = torch.stack([sample.seg_logits.data for sample in found])
    expected = PublishedForward(arrays, blocks).logits(pictures)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-9)
    labels = torch.stack([sample.pred_sem_seg.data[0] for sample in found])
    assert torch.equal(labels, expected.argmax(1)) and len(labels.unique()) == classes


def test_every_weight_of_the_published_model_finds_its_place() -> None:
    arrays = {
        name: np.broadcast_to(np.float32(number), shape)
        for number, (name, shape) in enumerate(semantic_fpn(R101))
    }
    found = rename_weights("model_final.pkl", arrays, SEMANTIC_FPN)
    model = build()
    fit = fit_weights(model, found)
    assert (fit.unset, fit.unused) == ([], [])
    assert fit.total == len(arrays) - 2
    state = model.state_dict()
    for ours, theirs in {
        "backbone.layer3.22.bn3.running_var": "backbone.bottom_up.res4.22.conv3.norm.running_var",
        "decode_head.coarse_head.scale_heads.3.4.gn.bias": (
            "sem_seg_head.coarse_sem_seg_head.p5.4.norm.bias"
        ),
        "decode_head.point_head.fcs.0.conv.weight": "sem_seg_head.point_head.fc1.weight",
    }.items():
        assert state[ours].unique().item() == arrays[theirs].flat[0]


def test_a_checkpoint_of_its_trainer(tmp_path: Path) -> None:
    weights = {"sem_seg_head.point_head.predictor.bias": torch.arange(3.0)}
    torch.save(dict(model=weights, optimizer={}, iteration=7), tmp_path / "model.pth")
    read = read_weights(tmp_path / "model.pth")
    found = rename_weights("model.pth", read, SEMANTIC_FPN)
    assert found.keys() == {"decode_head.1.fc_seg.bias"}
    assert found["decode_head.1.fc_seg.bias"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sem_seg_head.p2.0.weight", "not of detectron2's SemanticFPN with PointRend: 1 of 1"),
        ("roi_heads.mask_head.deconv.weight", "Mask R-CNN with PointRend and an FPN: 1 of 1"),
    ],
)
def test_other_networks_are_refused_in_a_line(
    name: str, message: str, tmp_path: Path, call_tool
) -> None:
    write_pickle(tmp_path / "model.pkl", {name: np.zeros(3)})
    errors = call_tool.fail("convert_detectron2.py", "model.pkl", "out.pth")
    assert message in errors and f"such as {name}" in errors and "Traceback" not in errors
    assert not (tmp_path / "out.pth").exists()
