"""What get_flops prints: of a segmentor every stage, of a detector its mask head."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from mmseg_pointrend.apis.configs import load_config
from mmseg_pointrend.apis.tasks import task_of
from mmseg_pointrend.lab.counting.complexity import count_complexity
from mmseg_pointrend.lab.counting.cost_table import format_complexity


def count_and_format(
    config_path: str | Path,
    shape: Sequence[int] | None = None,
    boxes: int = 100,
    options: dict | None = None,
) -> tuple[str, dict | list]:
    """Count what a config's model costs.

    Args:
        config_path: config file.
        shape: of a segmentor's images, see `count_complexity`.
        boxes: of a picture, for detectors.
        options: dotted config keys and values that override the file.

    Returns:
        the counts as text, and as plain values.

    Raises:
        FileNotFoundError: if there is no such config.
        ValueError: for settings out of range, or a shape that counts nothing.
    """
    if task_of(load_config(config_path, options)).scope == "mmseg":
        complexity = count_complexity(config_path, shape, options)
        return format_complexity(complexity), asdict(complexity)
    from mmseg_pointrend.lab.counting.mask_heads import count_mask_heads, format_mask_heads

    if shape is not None:
        raise ValueError("shape: what a mask head costs for a box does not depend on the picture's")
    if boxes < 1:
        raise ValueError(f"boxes must be at least 1, got {boxes}")
    heads = count_mask_heads(config_path, options)
    return format_mask_heads(heads, boxes), [asdict(head) for head in heads]
