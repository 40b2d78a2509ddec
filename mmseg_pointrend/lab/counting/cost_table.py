"""The counts of `complexity` as text."""

from collections.abc import Sequence

from mmseg_pointrend.lab.counting.complexity import Complexity, ForwardPass, Stage

COLUMNS = ("", "points", "parameters (M)", "multiply-adds (G)", "activations (M)")


def format_complexity(complexity: Complexity) -> str:
    """Lay the counts out: a table for training, one for rendering, and what rendering saves.

    Parameters and activations are in millions, multiply-adds in billions.
    """
    return "\n".join(
        [
            "Training, forward pass of one image of {}x{}".format(*complexity.training.shape),
            *_rows(complexity.training),
            "",
            "Rendering, one image of {}x{}".format(*complexity.rendering.shape),
            *_rows(complexity.rendering),
            *_savings(complexity.rendering),
        ]
    )


def _rows(forward: ForwardPass) -> list[str]:
    rows = [_line(COLUMNS)]
    for stage in forward.stages:
        rows.append(_row(stage))
        if stage.points is not None:
            rows += [_row(step, indent="  ") for step in forward.steps]
    return [*rows, _row(forward.total)]


def _savings(rendering: ForwardPass) -> list[str]:
    """Compare rendering with the point head at every pixel of its last grid (paper, sec. 3.1)."""
    dense, total = rendering.dense, rendering.total.multiply_adds
    if dense is None:
        return []
    (head,) = (stage for stage in rendering.stages if stage.points is not None)
    largest = max(step.activations for step in rendering.steps)
    saved = dense.multiply_adds - head.multiply_adds
    return [
        "",
        "The point head at every pixel of the last grid instead",
        _line(COLUMNS),
        _row(dense),
        "",
        "Rendering needs, times fewer",
        f"  points                                 {dense.points / head.points:8.1f}",
        f"  multiply-adds of the point head        {dense.multiply_adds / head.multiply_adds:8.1f}",
        f"  multiply-adds of the whole model       {(total + saved) / total:8.1f}",
        f"  activations at a time (largest step)   {dense.activations / largest:8.1f}",
    ]


def _row(stage: Stage, indent: str = "") -> str:
    return _line(
        [
            indent + stage.name,
            f"{stage.points or ''}",
            "" if stage.parameters is None else f"{stage.parameters / 1e6:.3f}",
            f"{stage.multiply_adds / 1e9:.3f}",
            f"{stage.activations / 1e6:.3f}",
        ]
    )


def _line(cells: Sequence[str]) -> str:
    return cells[0].ljust(28) + "".join(cell.rjust(19) for cell in cells[1:])
