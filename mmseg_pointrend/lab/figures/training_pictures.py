"""Training pictures as the network gets them: cropped, flipped, coloured, with their labels."""

from itertools import cycle, islice
from pathlib import Path

import numpy as np
from mmseg.registry import DATASETS

import mmseg_pointrend.datasets  # noqa: F401 - fills the registry
from mmseg_pointrend.apis.configs import prepare_config
from mmseg_pointrend.apis.tasks import refuse_instances, task_of
from mmseg_pointrend.datasets.draws import seed_everything
from mmseg_pointrend.inference.overlays import as_color, paint
from mmseg_pointrend.inference.palettes import complete_palette
from mmseg_pointrend.inference.written import write_overlay


def draw_training_pictures(
    config_path: str | Path,
    out: str | Path,
    count: int = 10,
    seed: int = 0,
    options: dict | None = None,
) -> list[Path]:
    """Draw what the training pipeline makes of the first pictures, beside their labels.

    Args:
        config_path: config file.
        out: folder for `<number>_<picture>.jpg`: on the left what the pipeline gives, before it is
            normalised, on the right the labels painted over it; ignored pixels are not painted.
        count: how many; where there are fewer pictures, they come again, drawn anew.
        seed: of crops, flips and colours.
        options: dotted config keys and values that override the file.

    Returns:
        the files.

    Raises:
        FileNotFoundError: if the config or a data folder does not exist.
        ValueError: for fewer than one picture, or none in the folder.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    config = prepare_config(config_path, options=options)
    refuse_instances(config, "browse_training")
    task_of(config).check_data(config, "train")
    dataset = DATASETS.build(config.train_dataloader.dataset)
    num_classes = config.model.decode_head.num_classes
    palette = complete_palette(dataset.metainfo.get("palette") or [], num_classes)
    files = []
    for number, index in enumerate(islice(cycle(range(len(dataset))), count)):
        seed_everything(seed, number)
        item = dataset[index]
        pixels = as_color(item["inputs"].permute(1, 2, 0).numpy())
        sample = item["data_samples"]
        painted = paint(pixels, sample.gt_sem_seg.data[0].numpy(), palette)
        files.append(Path(out) / f"{number:04d}_{Path(sample.metainfo['img_path']).stem}.jpg")
        write_overlay(files[-1], np.concatenate([pixels, painted], axis=1))
    return files
