"""Small data sets on disk, in the folder layouts and label conventions of the real ones."""

from pathlib import Path

import numpy as np
from PIL import Image

#: A few pixels per image are enough to train on; odd sizes on purpose.
SIZE = (67, 131)


def _scene(rng: np.random.Generator, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw rectangles of a colour and label each; returns (H, W, 3) uint8 and (H, W) uint8."""
    height, width = SIZE
    labels = np.zeros(SIZE, np.uint8)
    for _ in range(6):
        top, left = rng.integers(0, height - 10), rng.integers(0, width - 10)
        labels[top : top + rng.integers(8, 40), left : left + rng.integers(8, 60)] = rng.integers(
            classes
        )
    colors = np.random.default_rng(1).integers(0, 256, (256, 3))
    noise = rng.integers(-20, 20, (height, width, 3))
    return np.clip(colors[labels] + noise, 0, 255).astype(np.uint8), labels


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_cityscapes(root: Path, train: int = 4, val: int = 2) -> Path:
    """Write leftImg8bit/ and gtFine/ with trainIds and 255, as cityscapesscripts makes them."""
    rng = np.random.default_rng(0)
    for split, count, city in (("train", train, "aachen"), ("val", val, "munster")):
        for index in range(count):
            image, labels = _scene(rng, 19)
            labels[-6:] = 255
            stem = f"{city}_{index:06d}_000019"
            for folder, name, pixels in (
                ("leftImg8bit", f"{stem}_leftImg8bit.png", image),
                ("gtFine", f"{stem}_gtFine_labelTrainIds.png", labels),
            ):
                path = root / folder / split / city / name
                _save(path, pixels)
    return root


def write_ade20k(root: Path, train: int = 4, val: int = 2) -> Path:
    """Write images/*.jpg and annotations/*.png with 0 = unlabelled and classes 1 to 150."""
    rng = np.random.default_rng(0)
    for split, count in (("training", train), ("validation", val)):
        for index in range(count):
            image, labels = _scene(rng, 150)
            labels += 1
            labels[:5] = 0
            stem = f"ADE_{'train' if split == 'training' else 'val'}_{index:08d}"
            for folder, name, pixels in (
                ("images", f"{stem}.jpg", image),
                ("annotations", f"{stem}.png", labels),
            ):
                path = root / folder / split / name
                _save(path, pixels)
    return root


def write_two_classes(root: Path, train: int = 4, val: int = 2, void_rows: int = 4) -> Path:
    """Write images/*.jpg and labels/*.png with 0, 1 and 255, as docs/custom_dataset.md says."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for index in range(count):
            image, labels = _scene(rng, 2)
            labels[:void_rows] = 255
            for folder, name, pixels in (("images", "jpg", image), ("labels", "png", labels)):
                path = root / folder / split / f"{index}.{name}"
                _save(path, pixels)
    return root


#: After small_options: where the depth of the network does not matter, its weights are half.
SHALLOW = ("model.backbone.depth=18", "model.neck.in_channels=[64,128,256,512]")

#: The same, where the depth matters.
THIN = (
    "model.backbone.stem_channels=16",
    "model.backbone.base_channels=16",
    "model.neck.in_channels=[64,128,256,512]",
)


def small_options(data_root: Path, iterations: int = 2, workers: int = 0) -> list[str]:
    """--cfg-options that make a config for 512 x 1024 crops run on pictures this small."""
    return [
        "--cfg-options",
        "model.pretrained=None",
        "model.data_preprocessor.size=(64,64)",
        f"train_dataloader.dataset.data_root={data_root}",
        f"val_dataloader.dataset.data_root={data_root}",
        f"test_dataloader.dataset.data_root={data_root}",
        "train_dataloader.dataset.pipeline.2.scale=(131,67)",
        "train_dataloader.dataset.pipeline.3.crop_size=(64,64)",
        "val_dataloader.dataset.pipeline.1.scale=(131,67)",
        "test_dataloader.dataset.pipeline.1.scale=(131,67)",
        f"train_cfg.max_iters={iterations}",
        f"train_cfg.val_interval={iterations}",
        "default_hooks.checkpoint.interval=2",
        "default_hooks.logger.interval=1",
        f"train_dataloader.num_workers={workers}",
        f"train_dataloader.persistent_workers={workers > 0}",
        "val_dataloader.num_workers=0",
        "val_dataloader.persistent_workers=False",
        "test_dataloader.num_workers=0",
        "test_dataloader.persistent_workers=False",
    ]
