"""A trained model made ready to be given away: weights alone, config, model card."""

import hashlib
import io
from pathlib import Path
from typing import NamedTuple

import mmengine
import mmseg
import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader
from torch import Tensor

from mmseg_pointrend import __version__
from mmseg_pointrend.apis.configs import prepare_config
from mmseg_pointrend.apis.models import load_model
from mmseg_pointrend.apis.publishing.measured import find_metrics, read_metrics
from mmseg_pointrend.apis.publishing.model_card import describe, write_card
from mmseg_pointrend.apis.shipped import find_config
from mmseg_pointrend.apis.tasks import task_of
from mmseg_pointrend.compat.safetensors_files import safetensors_bytes
from mmseg_pointrend.compat.whole_files import whole_file
from mmseg_pointrend.engine.weights_check import weights_of

#: Digits of the checksum in a file's name, as `torch.hub` checks them.
_DIGITS = 8
#: What a config says of one run, or of the machine that it ran on.
_OF_A_RUN = ("work_dir", "load_from", "resume", "launcher", "local_rank", "log_level")


class Published(NamedTuple):
    """What was written.

    Attributes:
        weights: `<name>-<checksum>.pth`, and `.safetensors` if asked for.
        config: `<name>.py`, without bases.
        card: `README.md`.
    """

    weights: list[Path]
    config: Path
    card: Path


def publish(
    config_path: str | Path,
    checkpoint: str | Path,
    out: str | Path,
    metrics: str | Path | None = None,
    safetensors: bool = False,
    options: dict | None = None,
) -> Published:
    """Write a model's weights, config and card into a folder.

    The weights are the checkpoint's, without optimizer, schedules and logs, which only the same
    training needs; a training cannot be resumed from them. What is written is read back.

    Args:
        config_path: config file, or the name of a config of this project.
        checkpoint: of a training.
        out: folder to write to; made if it does not exist.
        metrics: JSON file of numbers by their names, as `tools/test.py` writes it into the work
            dir. By default those that the training measured at the checkpoint's iteration, if its
            logs lie beside the checkpoint.
        safetensors: write the weights in that format, too.
        options: dotted config keys and values that override the file.

    Raises:
        FileNotFoundError: if the config, the checkpoint or the metrics do not exist.
        ValueError: for weights of another model, not finite or damaged, metrics that are none, or a
            file in the place of the folder.
        OSError: if the folder cannot be written to.
        ImportError: for `safetensors`, if it is not installed.
    """
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"out must be a folder, got the file {out}")
    config = prepare_config(config_path, options=options)
    model = load_model(config, checkpoint, "cpu")  # refuses what does not fit
    loaded = CheckpointLoader.load_checkpoint(str(checkpoint), map_location="cpu")
    weights = {name: value.clone() for name, value in weights_of(loaded).items()}
    meta = _meta_of(loaded.get("meta") or {}, find_config(config_path).stem)
    measured = read_metrics(metrics) if metrics else find_metrics(checkpoint, meta["trained"])
    name = meta["config_name"]
    files = [_write(folder, name, ".pth", _torch_bytes(weights, meta))]
    if safetensors:
        files.append(_write(folder, name, ".safetensors", safetensors_bytes(weights, meta)))
    for file in files:
        _check_read_back(file, weights)
    alone = _write_config(folder / f"{name}.py", config_path, options)
    card = folder / "README.md"
    facts = describe(config, meta, weights, task_of(config).class_names(config, model))
    write_card(card, files, facts, measured)
    return Published(files, alone, card)


def _meta_of(meta: dict, name: str) -> dict:
    """Keep what says where weights come from: plain data, no paths and no settings of a machine."""
    classes = (meta.get("dataset_meta") or {}).get("classes") or ()
    palette = (meta.get("dataset_meta") or {}).get("palette") or ()
    trained = {key: meta[key] for key in ("iter", "epoch", "seed", "time") if key in meta}
    return dict(
        config_name=name,
        dataset_meta=dict(classes=list(classes), palette=[list(color) for color in palette]),
        trained=trained,
        versions=dict(
            mmseg_pointrend=__version__,
            mmsegmentation=mmseg.__version__,
            mmengine=mmengine.__version__,
            torch=str(torch.__version__),
        ),
    )


def _torch_bytes(weights: dict[str, Tensor], meta: dict) -> bytes:
    buffer = io.BytesIO()
    torch.save(dict(state_dict=weights, meta=meta), buffer)
    return buffer.getvalue()


def _write(folder: Path, name: str, ending: str, data: bytes) -> Path:
    """Write a file whose name tells what is in it."""
    path = folder / f"{name}-{hashlib.sha256(data).hexdigest()[:_DIGITS]}{ending}"
    with whole_file(path) as file:
        file.write(data)
    return path


def _check_read_back(path: Path, weights: dict[str, Tensor]) -> None:
    """Raise ValueError if a file does not give the weights back to the bit."""
    found = weights_of(CheckpointLoader.load_checkpoint(str(path), map_location="cpu"))
    same = found.keys() == weights.keys() and all(
        found[name].dtype == value.dtype and torch.equal(found[name], value)
        for name, value in weights.items()
    )
    if not same:
        raise ValueError(f"{path}, read back, does not hold what was written: try another disk")


def _write_config(path: Path, source: str | Path, options: dict | None) -> Path:
    """Write a config with all that its bases say, and nothing of a run."""
    config = Config.fromfile(str(find_config(source)))
    config.merge_from_dict(options or {})
    for key in _OF_A_RUN:
        config.pop(key, None)
    with whole_file(path) as file:
        file.write((config.pretty_text.rstrip() + "\n").encode())
    return path
