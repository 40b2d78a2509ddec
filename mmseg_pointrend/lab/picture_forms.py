"""What the picture adds to a point head, and in which form: heads that learn side by side.

One model is trained as its config says. Beside its own point head others learn from the same
batches at the same points, from features that are detached, so that the model does not notice them.
They differ in how they read the picture alone. Two trainings would differ in much more.
"""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner, set_random_seed
from mmseg.registry import MODELS
from mmseg.utils import SampleList, add_prefix
from torch import Tensor, nn

from mmseg_pointrend.apis.configs import is_pointrend, prepare_config
from mmseg_pointrend.core import label_sample
from mmseg_pointrend.lab.ablation.results_table import Row
from mmseg_pointrend.lab.ablation.run_folder import scale_schedule


@MODELS.register_module()
class LearnedPictureMap(nn.Sequential):
    """A map of the picture at its own resolution: 3x3 convolutions, each normalised, and ReLU.

    Args:
        out_channels: of each convolution, and of the map.
        num_convs: how many.
    """

    def __init__(self, out_channels: int, num_convs: int) -> None:
        layers: list[nn.Module] = []
        for number in range(num_convs):
            before = out_channels if number else 3
            conv = nn.Conv2d(before, out_channels, kernel_size=3, padding=1, bias=False)
            layers += [conv, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]
        super().__init__(*layers)
        self.out_channels = out_channels


#: Name -> what `PointRendHead` is told of the picture.
FORMS: dict[str, dict | None] = {
    "none": None,
    "1x1": dict(kernel_size=1),
    "3x3": dict(kernel_size=3),
    "learned": dict(type="LearnedPictureMap", out_channels=16, num_convs=2),
}


def compare_picture_forms(
    config_path: str | Path,
    seed: int,
    work_dir: str | Path,
    iterations: int | None = None,
    options: dict | None = None,
) -> list[Row]:
    """Train a config's model and a point head for each form beside it, and test each of them.

    Args:
        config_path: config file of a PointRend model that does not read the picture.
        seed: of the training; every point head starts from the same random numbers.
        work_dir: where logs and the checkpoint go.
        iterations: length of the training; the config's by default. The schedule scales.
        options: dotted config keys and values that override the file.

    Returns:
        the test's metrics of each form; `none` is a head like the model's own, beside it as well.

    Raises:
        FileNotFoundError: if the config or a data folder does not exist.
        ValueError: for a model without PointRend, or one that reads the picture already.
    """
    config = prepare_config(config_path, work_dir, options)
    if not is_pointrend(config.model) or config.model.decode_head.get("picture"):
        raise ValueError(
            f"config {config_path} must have a PointRend model without decode_head.picture"
        )
    config.merge_from_dict(scale_schedule(config, iterations))
    config.merge_from_dict({"randomness.seed": seed, "model.predict_coarse": False})
    heads = build_heads(config, seed)
    runner = Runner.from_cfg(config)
    train_beside(runner.model, heads)
    runner.train()
    return [Row(name, seed, _test(runner, head)) for name, head in zip(FORMS, heads, strict=True)]


def build_heads(config: Config, seed: int) -> nn.ModuleList:
    """Build a decode head for each form, of which the point head and the picture's part learn."""
    heads = nn.ModuleList()
    for form in FORMS.values():
        set_random_seed(seed)
        head = MODELS.build(ConfigDict(copy.deepcopy(config.model.decode_head), picture=form))
        head.init_weights()
        head.coarse_head.requires_grad_(False)
        heads.append(head)
    return heads


def train_beside(model: nn.Module, heads: nn.ModuleList) -> None:
    """Make a model's training loss the sum of its own and of heads that read what it computes.

    Args:
        model: changed. Its own gradients stay what they were.
        heads: see `build_heads`; they become part of the model.
    """
    own, seen = model.decode_head, {}
    model.heads_beside = heads
    # So that the picture is handed on although the model's own head does not read it.
    own.with_picture = next(head for head in heads if head.picture is not None).with_picture
    loss, point_logits = own.loss, own.point_logits

    def remember(features: Callable, points: Tensor) -> Tensor:
        seen.update(coarse=features.coarse_map.detach(), points=points)
        return point_logits(features, points)

    def joint_loss(inputs: Sequence[Tensor], samples: SampleList, *args: object) -> dict:
        own.point_logits = remember
        losses = loss(inputs, samples, *args)
        own.point_logits = point_logits
        maps = own.with_picture([values.detach() for values in inputs], inputs.picture)
        truth = torch.cat([sample.gt_sem_seg.data for sample in samples])
        labels = label_sample(truth, seen["points"])
        for name, head in zip(FORMS, heads, strict=True):
            features = head.point_features(maps, seen["coarse"])
            found = head.point_losses(head.point_logits(features, seen["points"]), labels)
            losses.update(add_prefix(found, f"beside.{name}"))
        return losses

    own.loss = joint_loss


def _test(runner: Runner, head: nn.Module) -> dict[str, float]:
    """Test the model with the point head of another head."""
    own = runner.model.decode_head
    own.point_head, own.picture = head.point_head, head.picture
    return {name: float(value) for name, value in runner.test().items()}
