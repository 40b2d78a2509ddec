"""The weights that a config starts a network from: where it names them."""

from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.config import Config

from mmseg_pointrend.compat.checkpoints import DownloadError


def list_pretrained(model: dict) -> list[str]:
    """List the settings that name weights, each by the dotted key that leaves them out as None.

    Args:
        model: config of a model: `pretrained`, or an `init_cfg` of type "Pretrained", of any part.

    Example:
        >>> list_pretrained(dict(backbone=dict(init_cfg=dict(type="Pretrained", checkpoint="x"))))
        ['model.backbone.init_cfg']
    """
    return [".".join(("model", *keys)) for keys in _find(model)]


def leave_out_pretrained(config: Config) -> None:
    """Let a config's model begin with random weights, which a checkpoint replaces."""
    for key in list_pretrained(config.model):
        *parents, last = key.split(".")
        node = config
        for part in parents:
            node = node[int(part)] if isinstance(node, list) else node[part]
        node[last] = None


@contextmanager
def advising_files(model: dict) -> Iterator[None]:
    """Let a `DownloadError` of this block say which options help, if a model's config asked for it.

    Raises:
        DownloadError: if weights cannot be downloaded.
    """
    try:
        yield
    except DownloadError as error:
        if not list_pretrained(model):
            raise
        raise DownloadError(f"{error}; {advise_files(model)}") from error


def advise_files(model: dict) -> str:
    """Say which options help where the weights of a model's config cannot be downloaded."""
    keys = list_pretrained(model)
    files = (f"{key}.checkpoint" if key.endswith("init_cfg") else key for key in keys)
    return (
        f"give a local file with --cfg-options {' '.join(f'{file}=FILE' for file in files)}, or "
        f"start from random weights with {' '.join(f'{key}=None' for key in keys)}"
    )


def _find(node: object) -> Iterator[tuple[str, ...]]:
    """Yield the keys that lead to what names weights."""
    if isinstance(node, list | tuple):
        items = enumerate(node)
    else:
        items = node.items() if isinstance(node, dict) else ()
    for key, value in items:
        if (key == "pretrained" and isinstance(value, str)) or (
            key == "init_cfg" and _names_weights(value)
        ):
            yield (str(key),)
        else:
            yield from ((str(key), *rest) for rest in _find(value))


def _names_weights(init_cfg: object) -> bool:
    """Whether an `init_cfg`, one or a list, loads a checkpoint."""
    parts = init_cfg if isinstance(init_cfg, list | tuple) else [init_cfg]
    return any(isinstance(part, dict) and part.get("type") == "Pretrained" for part in parts)
