"""Keys of a config that nothing reads: those of mmsegmentation 0.x, and options without effect."""

import ast
import difflib
import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner
from rich.console import Console

#: Keys of mmsegmentation 0.x -> what says the same today.
OLD_KEYS = {
    "checkpoint_config": "default_hooks.checkpoint",
    "cudnn_benchmark": "env_cfg.cudnn_benchmark",
    "data": "train_dataloader, val_dataloader and test_dataloader",
    "data.samples_per_gpu": "train_dataloader.batch_size",
    "data.test": "test_dataloader.dataset",
    "data.train": "train_dataloader.dataset",
    "data.val": "val_dataloader.dataset",
    "data.workers_per_gpu": "train_dataloader.num_workers",
    "dist_params": "env_cfg.dist_cfg",
    "evaluation": "val_evaluator, and train_cfg.val_interval for how often",
    "evaluation.interval": "train_cfg.val_interval",
    "fp16": "optim_wrapper.type='AmpOptimWrapper', or --amp",
    "log_config": "default_hooks.logger and visualizer",
    "log_config.interval": "default_hooks.logger.interval",
    "lr_config": "param_scheduler",
    "optimizer": "optim_wrapper.optimizer",
    "optimizer_config": "optim_wrapper, with clip_grad",
    "resume_from": "--resume",
    "runner": "train_cfg",
    "runner.max_iters": "train_cfg.max_iters",
    "seed": "randomness.seed",
    "total_epochs": "train_cfg.max_epochs",
    "total_iters": "train_cfg.max_iters",
    "workflow": "train_cfg and val_cfg",
}
#: Those of them that today's files use for variables of their own -> what is made of them then.
_VARIABLES = {
    "fp16": "optim_wrapper",
    "optimizer": "optim_wrapper",
    "runner": "train_cfg",
    "seed": "seed",
    "total_iters": "train_cfg",
}
#: What mmengine and this project read of a config, besides the runner's arguments.
_OTHERS = frozenset(
    "activation_checkpointing compile custom_imports efficient_conv_bn_eval "
    "find_unused_parameters model_wrapper_cfg runner_type strategy sync_bn tta_model "
    "tta_pipeline".split()
)


def check_old_keys(config: Config, options: Iterable[str] = ()) -> None:
    """Refuse keys of mmsegmentation 0.x.

    Names that today's files use as variables of their own count only where nothing is made of them:
    an `optimizer` in a file that has no `optim_wrapper` beside it, `data` that is no dict.

    Args:
        config: as its file says.
        options: dotted keys that override it.

    Raises:
        ValueError: naming the key, and what says the same today.
    """
    for key in options:
        if key.partition(".")[0] in OLD_KEYS:
            raise _is_old(key)
    # The longer keys say more.
    for key in sorted(OLD_KEYS, key=len, reverse=True):
        first, _, last = key.partition(".")
        value = config.get(first)
        if last:
            value = value.get(last) if isinstance(value, dict) else None
        elif first == "data" and not (isinstance(value, dict) and "train" in value):
            value = None
        if value is not None and first not in _VARIABLES:
            raise _is_old(key)
    own = _assigned_in(config.filename)
    for key, made_of_it in _VARIABLES.items():
        if key in own and made_of_it not in own:
            raise _is_old(key)


def check_options(config: Config, options: Iterable[str]) -> None:
    """Refuse options that change nothing, because nothing reads them.

    A name of the file whose value is nowhere else is told: code of the user's own may read it.

    Args:
        config: as its file says, without the options.
        options: their dotted keys.

    Raises:
        ValueError: for a key that is not there and that nothing would read, or a name that only the
            file itself uses, with the keys that have its value; for a list in which a key names no
            element.
    """
    read = _OTHERS | {*inspect.signature(Runner.__init__).parameters}
    for key in options:
        _check_place(config, key)
        first, _, rest = key.partition(".")
        if first in read or first in OLD_KEYS:
            continue
        if first not in config:
            similar = difflib.get_close_matches(first, [*read, *config], n=1)
            hint = f"; did you mean {similar[0]}?" if similar else ""
            raise ValueError(f"option {key}: nothing reads {first}{hint}")
        parts = _unscoped({name: value for name, value in config.items() if name in read})
        places = _places(parts, first, _unscoped(config[first]))
        places = [place + (rest and f".{rest}") for place in places]
        if places:
            raise ValueError(
                f"option {key} changes nothing: {first} is a name in the config's file, whose "
                f"value has been given to {', '.join(places)}; set these"
            )
        Console(stderr=True).print(
            f"option {key}: {first} is a name in the config's file, which mmengine and this "
            "project do not read",
            soft_wrap=True,
        )


def _check_place(config: Config, key: str) -> None:
    """Refuse a key that goes into a list without saying to which of its elements."""
    first, *parts = key.split(".")
    node: object = config.get(first)
    for depth, part in enumerate(parts):
        if isinstance(node, list):
            if not part.isdecimal() or int(part) >= len(node):
                place = ".".join([first, *parts[:depth]])
                example = ".".join([place, "0", *parts[depth + part.isdecimal() :]])
                raise ValueError(
                    f"option {key}: {place} is a list of {len(node)}, whose elements are numbered "
                    f"from 0, as in {example}"
                )
            node = node[int(part)]
        else:
            node = node.get(part) if isinstance(node, dict) else None


def _is_old(key: str) -> ValueError:
    """Say what a key is today; where its section has a new name as a whole, with the rest of it."""
    first, dot, rest = key.partition(".")
    today = OLD_KEYS.get(key) or OLD_KEYS[first] + (dot + rest if first == "optimizer" else "")
    return ValueError(
        f"{key} is a key of mmsegmentation 0.x, which nothing reads; today it is {today}"
    )


def _assigned_in(path: str | None) -> set[str]:
    """List the names that a config's file assigns itself; those of its bases are not among them."""
    if path is None or not str(path).endswith(".py"):
        return set()
    statements = ast.parse(Path(path).read_text("utf-8")).body
    targets = (part for one in statements if isinstance(one, ast.Assign) for part in one.targets)
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _places(node: object, name: str, value: object, prefix: str = "") -> Iterator[str]:
    """List where a variable's value is: a container by its value, others by their name, too."""
    named = isinstance(node, dict)
    for key, found in node.items() if named else enumerate(node):
        path = f"{prefix}{key}"
        if found == value and (key == name or (isinstance(value, dict | list | tuple) and value)):
            yield path
        elif isinstance(found, dict | list | tuple):
            yield from _places(found, name, value, f"{path}.")


def _unscoped(node: object) -> object:
    """Copy a part of a config without the marks of the package that a base comes from."""
    if isinstance(node, dict):
        return {key: _unscoped(value) for key, value in node.items() if key != "_scope_"}
    return [*map(_unscoped, node)] if isinstance(node, list | tuple) else node
