"""The classes' colours and names, as a config's test data have them."""

from collections.abc import Mapping, Sequence

import numpy as np
from mmengine.config import Config

from mmseg_pointrend.datasets.found_pictures import build_settings
from mmseg_pointrend.datasets.wrappers import innermost_datasets


def palette_of(config: Config, num_classes: int) -> list[list[int]]:
    """Find a colour for each class: the test data's, and made up where they have none.

    Args:
        config: as `prepare_config` gives it.
        num_classes: the model's number of classes.

    Returns:
        (R, G, B) from 0 to 255 for each class.
    """
    return complete_palette(_metainfo_of(config).get("palette") or [], num_classes)


def class_names_of(config: Config, num_classes: int) -> list[str]:
    """Find a name for each class: the test data's, and its number where they have none.

    Args:
        config: as `prepare_config` gives it.
        num_classes: the model's number of classes.
    """
    return complete_names(_metainfo_of(config).get("classes") or [], num_classes)


def complete_names(names: Sequence[str], num_classes: int) -> list[str]:
    """Add numbers to names, or leave some out, so that every class has one."""
    return [*names[:num_classes], *map(str, range(len(names), num_classes))]


def complete_palette(palette: Sequence[Sequence[int]], num_classes: int) -> list[list[int]]:
    """Add colours to a palette, or leave some out, so that every class has one.

    They are those that mmsegmentation makes up.
    """
    made_up = np.random.RandomState(42).randint(0, 255, (num_classes, 3)).tolist()
    found = [list(color) for color in palette[:num_classes]]
    return found + made_up[len(found) :]


def _metainfo_of(config: Config) -> Mapping:
    """Build a data set as far as its settings, and ask it for its metainfo."""
    loader = config.get("test_dataloader") or {}
    leaf = next(iter(innermost_datasets(loader.get("dataset") or {})), {})
    try:
        return build_settings(leaf).metainfo
    except Exception:  # whatever a data set needs that is not here: names decide nothing
        return {}
