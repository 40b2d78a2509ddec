"""From a base's config and checkpoint to the retrofitted ones."""

from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmseg.registry import MODELS

from mmseg_pointrend.apis.configs import load_config, prepare_config
from mmseg_pointrend.apis.models import load_model
from mmseg_pointrend.apis.retrofit.base_maps import find_base_maps
from mmseg_pointrend.apis.retrofit.config import (
    PointSettings,
    check_base,
    image_channels,
    retrofit_config,
)
from mmseg_pointrend.apis.tasks import refuse_instances
from mmseg_pointrend.apis.training import train
from mmseg_pointrend.compat.whole_files import whole_file
from mmseg_pointrend.engine.weights_check import fit_weights


@dataclass(frozen=True)
class Folder:
    """Where a retrofit and its training are.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The config of the retrofitted model."""
        return self.path / "retrofit.py"

    @property
    def training(self) -> Path:
        """The work dir of the training, in which mmengine writes the config, too."""
        return self.path / "training"

    @property
    def base_weights(self) -> Path:
        """The base's weights, by the names that they have in the retrofitted model."""
        return self.path / "base.pth"

    def checkpoint(self) -> Path:
        """Find the checkpoint of the finished training.

        Raises:
            FileNotFoundError: if it is not finished.
        """
        path = self.training / f"iter_{load_config(self.config).train_cfg.max_iters}.pth"
        if not path.is_file():
            raise FileNotFoundError(f"the training in {self.path} is not finished: no {path}")
        return path


def train_retrofit(
    base_config: str | Path,
    base_checkpoint: str | Path,
    out: str | Path,
    settings: PointSettings | None = None,
    options: dict | None = None,
    resume: bool = False,
) -> Folder:
    """Train a point head on a model that stays as it is.

    Writes into `out`: `retrofit.py`, a config that needs no other file and says `freeze_base=True`,
    so that whatever is trained from it leaves the base alone; `base.pth`, where the training
    starts; and below it what a training writes.

    Args:
        base_config: config of an `EncoderDecoder`, whose training data the head is trained on.
        base_checkpoint: its weights.
        out: folder.
        settings: of the point head and its training.
        options: dotted keys and values that override the base's config.
        resume: go on with the training that is in `out`, with the settings that it began with.

    Returns:
        the folder, in which the training is finished.

    Raises:
        FileNotFoundError: if a config, a checkpoint or a data folder does not exist.
        ValueError: for a model that cannot be retrofitted, weights of another model, settings out
            of range, or a folder that holds a retrofit already.
        SystemExit: after SIGTERM or SIGINT, once the iteration is saved.
    """
    folder = Folder(Path(out))
    if not resume or not folder.config.is_file():
        if folder.config.is_file():
            raise ValueError(
                f"{folder.path} holds a retrofit already; go on with it by resume, or give another "
                "folder"
            )
        _write(folder, base_config, base_checkpoint, settings or PointSettings(), options)
    train(folder.config, work_dir=folder.training, resume="auto" if resume else None)
    return folder


def _write(
    folder: Folder,
    base_config: str | Path,
    base_checkpoint: str | Path,
    settings: PointSettings,
    options: dict | None,
) -> None:
    base = load_config(base_config, options)
    refuse_instances(base, "a retrofit")
    check_base(base)
    # Of another copy, which is fitted to this machine.
    runnable = prepare_config(base_config, folder.path, options)
    model = load_model(runnable, base_checkpoint, device="cpu")
    maps = find_base_maps(model, image_channels(base.model))
    config = retrofit_config(base, maps, settings)
    config.work_dir, config.load_from = str(folder.training), str(folder.base_weights)
    head = config.model.decode_head
    picture = " and the picture" if head.get("picture") else ""
    print_log(f"{maps.describe()}; the point head reads {head.point_head.in_index}{picture}")
    weights = {_rename(name): value for name, value in model.state_dict().items()}
    _check(config, weights)
    with whole_file(folder.base_weights) as file:
        torch.save(dict(state_dict=weights), file)
    config.dump(folder.config)


def _rename(name: str) -> str:
    prefix, dot, rest = name.partition("decode_head.")
    return f"decode_head.coarse_head.{rest}" if dot and not prefix else name


def _check(config: Config, weights: dict[str, torch.Tensor]) -> None:
    """Build the retrofitted model: what is wrong shows now, and all of the base is in it.

    Raises:
        ValueError: for settings out of range, or a head that is no coarse head.
    """
    fit = fit_weights(MODELS.build(config.model), weights)
    new = ("decode_head.point_head.", "decode_head.picture.")
    assert all(name.startswith(new) for name in fit.unset), fit.unset
