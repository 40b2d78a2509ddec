"""How long the check before training takes: python -m tests.datasets.time_check --root FOLDER."""

import argparse
import shutil
import time
from pathlib import Path

import numpy as np
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS
from PIL import Image

from mmseg_pointrend.datasets.found_pictures import describe_pictures, find_pictures
from mmseg_pointrend.engine import LabelCheckHook

CLASSES = 19
#: So many pictures are drawn; the others are copies.
DRAWN = 20


def write_pictures(root: Path, count: int, side: int) -> None:
    """Write square JPEG pictures of noise and blocks, and their label maps; a few are drawn."""
    rng = np.random.default_rng(0)
    for index in range(count):
        files = [root / f"images/{index:06d}.jpg", root / f"labels/{index:06d}.png"]
        if index >= DRAWN:
            for file in files:
                shutil.copyfile(file.with_stem(f"{index % DRAWN:06d}"), file)
            continue
        blocks = rng.integers(0, CLASSES, (side // 16, side // 16))
        labels = np.kron(blocks, np.ones((16, 16), int)).astype(np.uint8)
        pixels = labels[..., None] * 12 + rng.integers(0, 20, (*labels.shape, 3))
        for file, values in zip(files, (pixels.clip(0, 255).astype(np.uint8), labels), strict=True):
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(file)


def main() -> None:
    """Write, check, and print the seconds of each part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=20_000, help="default: %(default)s")
    parser.add_argument("--side", type=int, default=512, help="pixels; default: %(default)s")
    parser.add_argument("--root", type=Path, required=True, help="folder for the pictures")
    args = parser.parse_args()
    if not args.root.exists():
        write_pictures(args.root, args.pictures, args.side)
    init_default_scope("mmseg")
    config = dict(
        type="BaseSegDataset",
        data_root=str(args.root),
        data_prefix=dict(img_path="images", seg_map_path="labels"),
        img_suffix=".jpg",
        metainfo=dict(classes=tuple(map(str, range(CLASSES)))),
        pipeline=[dict(type="LoadImageFromFile"), dict(type="LoadAnnotations")],
    )
    times = [time.perf_counter()]
    find_pictures(config, "train_dataloader.dataset")
    times.append(time.perf_counter())
    dataset = DATASETS.build(config)
    (found,) = describe_pictures([dataset])
    times.append(time.perf_counter())
    LabelCheckHook().check(dataset, CLASSES)
    times.append(time.perf_counter())
    seconds = np.diff(times)
    print(f"{found[0]}: found in {seconds[0]:.1f} s, counted in {seconds[1]:.1f} s, ", end="")
    print(f"label maps and headers read in {seconds[2]:.1f} s")


if __name__ == "__main__":
    main()
