"""The card of a published model: what it is and was trained on, what was measured, its limits."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from torch import Tensor

from mmseg_pointrend.apis.publishing.measured import Metrics
from mmseg_pointrend.apis.tasks import task_of
from mmseg_pointrend.compat.whole_files import whole_file
from mmseg_pointrend.engine import innermost_datasets
from mmseg_pointrend.engine.type_names import type_name

_UNKNOWN = "not recorded"


def describe(config: Config, meta: dict, weights: dict[str, Tensor], classes: list[str]) -> dict:
    """List what a card says of a model, by the names of its rows.

    Args:
        config: the whole config.
        meta: of the published checkpoint: `trained` and `versions`.
        weights: names and tensors.
        classes: their names.
    """
    model = config.model
    head = model.get("decode_head") or (model.get("roi_head") or {}).get("mask_head") or {}
    head = head[-1] if isinstance(head, list | tuple) else head
    parts = (part for part in (model, head, model.get("backbone")) if part)
    return {
        "Task": task_of(config).title,
        "Model": ", ".join(map(type_name, parts)),
        "Numbers in it": f"{sum(value.numel() for value in weights.values()):,}",
        "Classes": f"{len(classes)}: {', '.join(classes)}",
        "Trained on": _data_of(config, "train"),
        "Tested on": _data_of(config, "test"),
        "Training": _training_of(config, meta["trained"]),
        "Versions": ", ".join(f"{name} {value}" for name, value in meta["versions"].items()),
    }


def write_card(path: Path, files: Sequence[Path], facts: dict, metrics: Metrics) -> None:
    """Write a card.

    Args:
        path: Markdown file.
        files: the weights; the first stands in the example.
        facts: see `describe`.
        metrics: what was measured; may hold nothing, which the card says.

    Raises:
        OSError: if it cannot be written.
    """
    name = files[0].stem.rpartition("-")[0]
    sums = [(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files]
    text = "\n\n".join(
        [
            "---\nlibrary_name: mmseg_pointrend\npipeline_tag: image-segmentation\n---",
            f"# {name}",
            _table(("", ""), facts.items()),
            f"```python\nfrom mmseg_pointrend.apis import PointRendInferencer\n\n"
            f'predict = PointRendInferencer("{name}.py", "{files[0].name}")\n'
            'found = predict("picture.jpg")\n```',
            f"## Measured\n\n{_measured(metrics)}",
            f"## Limits\n\n{_limits(facts, metrics)}",
            f"## Files\n\n{_table(('file', 'SHA-256'), [*sums, (f'{name}.py', 'the config')])}",
        ]
    )
    with whole_file(path) as file:
        file.write(f"{text}\n".encode())


def _measured(metrics: Metrics) -> str:
    if not metrics.values:
        return (
            "Nothing was given. `python tools/test.py CONFIG WEIGHTS` measures, and leaves a JSON "
            "file in its work dir, which `tools/publish.py --metrics` takes."
        )
    rows = ((name, f"{value:g}") for name, value in metrics.values.items())
    return f"Measured {metrics.source}:\n\n{_table(('metric', 'value'), rows)}"


def _limits(facts: dict, metrics: Metrics) -> str:
    """Say what nobody can expect of the weights, as far as it follows from what is known."""
    limits = [
        f"Every pixel or object gets one of the classes above; others were not in the training "
        f"({facts['Trained on']}).",
        "Pictures of another kind, camera, scale or weather than those were not measured.",
        "A training cannot be resumed from these weights: the optimizer's state is left out.",
    ]
    if not metrics.values:
        limits.insert(0, "How good it is was not measured.")
    elif not any("oundary" in name or "trimap" in name.lower() for name in metrics.values):
        limits.insert(0, "How good it is at boundaries was not measured.")
    return "\n".join(f"- {limit}" for limit in limits)


def _data_of(config: Config, split: str) -> str:
    dataset = (config.get(f"{split}_dataloader") or {}).get("dataset")
    leaves = innermost_datasets(dataset) if dataset else ()
    return ", ".join(dict.fromkeys(map(_name_of_data, leaves))) or _UNKNOWN


def _name_of_data(leaf: dict) -> str:
    """Name a data set's class and its folder, but not where on a machine that is."""
    folder = Path(leaf.get("data_root") or "").name
    return f"{type_name(leaf)} ({folder})" if folder else type_name(leaf)


def _training_of(config: Config, trained: dict) -> str:
    """Say how long it was, of how long it was to be, and how it learned."""
    loop = config.get("train_cfg") or {}
    unit, key = ("iterations", "iter") if loop.get("max_iters") else ("epochs", "epoch")
    optimizer = (config.get("optim_wrapper") or {}).get("optimizer") or {}
    batch = (config.get("train_dataloader") or {}).get("batch_size", _UNKNOWN)
    kind = type_name(optimizer) if optimizer else _UNKNOWN
    return (
        f"{trained.get(key, _UNKNOWN)} of {loop.get(f'max_{key}s', _UNKNOWN)} {unit}, {batch} "
        f"pictures a process, {kind} with a learning rate "
        f"of {optimizer.get('lr', _UNKNOWN)}, seed {trained.get('seed', _UNKNOWN)}"
    )


def _table(head: tuple[str, str], rows: object) -> str:
    lines = [head, ("---", "---"), *rows]
    return "\n".join(f"| {left} | {right} |" for left, right in lines)
