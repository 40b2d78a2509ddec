"""The settings that a checkpoint was trained with: read from its config's text, never run."""

import ast
from typing import Any

#: What says nothing of how a model is trained.
_ELSEWHERE = (
    "work_dir",
    "load_from",
    "resume",
    "launcher",
    "local_rank",
    "log_",
    "visualizer",
    "vis_backends",
    "test_",
    "tta_",
    "custom_imports",
    "experiment_name",
    "default_hooks.logger",
    "default_hooks.visualization",
    "env_cfg",
    "train_dataloader.num_workers",
    "train_dataloader.persistent_workers",
    "train_dataloader.batch_sampler.start",
    "val_dataloader",
)


def read_settings(text: str) -> dict[str, Any]:
    """Read a config's text, as mmengine writes it into checkpoints, without running it.

    Args:
        text: assignments of literals and `dict(...)`.

    Returns:
        {dotted name: value}; what is no literal stays text.

    Raises:
        SyntaxError: for text that is not Python.
    """
    settings: dict[str, Any] = {}
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            _flatten(statement.targets[0].id, statement.value, settings)
    return settings


def find_changes(before: dict[str, Any], now: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Find settings that a training depends on and that are not the same.

    Args:
        before: as `read_settings` gives them.
        now: likewise.

    Returns:
        {dotted name: (value before, value now)}, None for what is missing.
    """
    return {
        name: (before.get(name), now.get(name))
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name) and not name.startswith(_ELSEWHERE)
    }


def _flatten(name: str, node: ast.expr, settings: dict[str, Any]) -> None:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        for keyword in node.keywords:
            _flatten(f"{name}.{keyword.arg}", keyword.value, settings)
        for argument in node.args:
            _flatten(name, argument, settings)
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            _flatten(f"{name}.{key and ast.unparse(key)}".replace("'", ""), value, settings)
    elif isinstance(node, ast.List | ast.Tuple) and any(map(_has_parts, node.elts)):
        for index, value in enumerate(node.elts):
            _flatten(f"{name}.{index}", value, settings)
    else:
        settings[name] = _value(node)


def _has_parts(node: ast.expr) -> bool:
    return isinstance(node, ast.Call | ast.Dict | ast.List | ast.Tuple)


def _value(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)
