"""A picture of what PointRend changes, of label maps or of the masks of objects."""

from pathlib import Path

from mmseg_pointrend.apis.configs import load_config
from mmseg_pointrend.apis.tasks import task_of


class NothingToDrawError(ValueError):
    """The models have found no object that could be drawn."""


def draw_comparison(
    config_path: str | Path,
    checkpoint: str | Path,
    picture: str | Path,
    baseline: tuple[str | Path, str | Path] | None = None,
    options: dict | None = None,
) -> None:
    """Draw what a PointRend model renders of its test data beside its coarse prediction.

    Args:
        config_path: config of a PointRend model, semantic or of instances.
        checkpoint: its weights.
        picture: PNG file to write.
        baseline: of instances: config and weights of a model without PointRend, drawn too.
        options: dotted config keys and values that override the files.

    Raises:
        FileNotFoundError: if a config or a checkpoint does not exist.
        NothingToDrawError: if no object of the test data is found.
        ValueError: for a model without PointRend, or a baseline of a semantic model.
    """
    config = load_config(config_path, options)
    if not task_of(config).is_pointrend(config.model):
        raise ValueError(f"{config_path} has no PointRend head, so there is no rendering to draw")
    if config.get("default_scope") == "mmdet":
        from mmseg_pointrend.lab.figures.instances import draw_instances

        return draw_instances(config_path, checkpoint, picture, baseline, options)
    if baseline is not None:
        raise ValueError("baseline is for the masks of objects; label maps are drawn without one")
    from mmseg_pointrend.lab.figures.label_maps import draw_label_maps

    return draw_label_maps(config_path, checkpoint, picture, options)
