"""What made the files of a folder: so that those of another model are not taken for finished."""

import hashlib
import json
from dataclasses import asdict, dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Record:
    """What made the files of a folder: the same record, the same files.

    Attributes:
        config: the config file, for people.
        settings: checksum of the model's config and the test pipeline (`checksum_of_settings`).
        weights: checksum of the model's weights (`checksum_of_weights`).
        window: (height, width) of sliding windows; None: as in testing.
        stride: (down, right), from one window to the next.
        palette: whether label maps hold colours, too.
        pictures: the folder below which the pictures lie.
        network: how the network ran (`NetworkSettings.describe`); None: as it is.
    """

    config: str
    settings: str
    weights: str
    window: tuple[int, int] | None
    stride: tuple[int, int] | None
    palette: bool
    pictures: str
    network: str | None = None

    def differences(self, other: dict) -> list[str]:
        """Say what is different in another record, one that was read from a file."""
        return [
            f"{name} was {_short(other.get(name))}, is {_short(value)}"
            for name, value in self._decisive().items()
            if other.get(name) != value
        ]

    def text(self) -> str:
        """Write it for a file."""
        return json.dumps(asdict(self), indent=2) + "\n"

    def digest(self) -> str:
        """Make a checksum of all that decides about the files."""
        values = self._decisive()
        if values["network"] is None:
            del values["network"]  # as in folders from before there was a choice
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()

    def _decisive(self) -> dict:
        values = json.loads(self.text())  # tuples as lists, as they are read
        del values["config"]
        return values


def checksum_of_settings(model: dict, pipeline: list[dict]) -> str:
    """Make a checksum of what decides about label maps, weights aside.

    Args:
        model: the model's config.
        pipeline: configs of the steps, from loading on.
    """
    decisive = {key: value for key, value in model.items() if key != "train_cfg"}
    text = json.dumps([decisive, pipeline], default=_name)
    # A machine without a GPU has the one for the other.
    return hashlib.sha256(text.replace('"SyncBN"', '"BN"').encode()).hexdigest()


def checksum_of_weights(model: nn.Module) -> str:
    """Make a checksum of a model's parameters and buffers, wherever they were loaded from."""
    found = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        found.update(f"{name} {tuple(value.shape)} {value.dtype} ".encode())
        found.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return found.hexdigest()


def _name(value: object) -> str:
    """Name a class or function of a config, or say what an object is."""
    return getattr(value, "__qualname__", None) or repr(value)


def _short(value: object) -> str:
    """Write a value; of a checksum its beginning."""
    checksum = isinstance(value, str) and len(value) == 64
    return f"{value[:8]}..." if checksum else json.dumps(value)
