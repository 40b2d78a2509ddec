"""Write a folder of generated scenes in the layout of Cityscapes.

Convention: `scenes.json` records what the folder was asked to hold. While scenes are being written
it is called `scenes.unfinished.json`; the final name appears last.
"""

import json
import os
from collections.abc import Iterator
from numbers import Integral
from pathlib import Path

import cv2
import numpy as np
from rich.progress import track

from mmseg_pointrend.lab.scenes.drawing import check_scene_options, draw_scene
from mmseg_pointrend.lab.scenes.street import find_street

# Raise this whenever a change to the drawing changes the pictures.
DRAWING_VERSION = 1
FINISHED, UNFINISHED = "scenes.json", "scenes.unfinished.json"
# Cityscapes has a folder for each city; the two splits show different ones.
_CITIES = {"train": "demoburg", "val": "demoville"}


def write_scenes(
    root: str | Path,
    num_train: int = 240,
    num_val: int = 60,
    size: tuple[int, int] = (192, 384),
    difficulty: float = 0.5,
    seed: int = 0,
    street: str = "busy",
) -> None:
    """Write generated street scenes as PNG files, in the layout of Cityscapes.

    Pictures are `leftImg8bit/{train,val}/<city>/*_leftImg8bit.png`, labels
    `gtFine/{train,val}/<city>/*_gtFine_labelTrainIds.png`. A scene depends on the seed, its split
    and its index alone: asking for more scenes does not change those before. Files that are there
    are left as they are, so an interrupted run is finished by calling again.

    Args:
        root: the folder; it is made when missing.
        num_train: number of scenes to train on.
        num_val: number of scenes to validate on.
        size: height and width of every picture, in pixels.
        difficulty: from 0 to 1; see `draw_scene`.
        seed: not negative. Equal arguments give files that are equal byte for byte.
        street: 'busy' or 'calm'; see `draw_scene`.

    Raises:
        ValueError: if an argument is out of range, or `root` holds anything else than an earlier
            run with equal arguments.
    """
    size, difficulty = check_scene_options(size, difficulty)
    find_street(street)
    asked: dict[str, object] = {**check_counts(num_train=num_train, num_val=num_val, seed=seed)}
    asked |= {"size": list(size), "difficulty": difficulty, "street": street}
    asked |= {"drawing_version": DRAWING_VERSION}
    root = Path(root)
    check_folder(root, asked)

    scenes = list(_scene_files(root, {"train": num_train, "val": num_val}))
    missing = [scene for scene in scenes if not (scene[2].exists() and scene[3].exists())]
    if not missing and (root / FINISHED).exists():
        return
    root.mkdir(parents=True, exist_ok=True)
    if not (root / FINISHED).exists():
        write_whole(root / UNFINISHED, (json.dumps(asked, indent=2) + "\n").encode())
    if missing:
        _draw_missing(missing, seed, (size, difficulty, street))
    if not (root / FINISHED).exists():
        os.replace(root / UNFINISHED, root / FINISHED)


def write_calm_scenes(
    root: str | Path, num_train: int = 240, num_val: int = 60, seed: int = 0
) -> None:
    """Write the scenes of the demonstration: calm streets, 256x512, in good weather.

    Args:
        root: the folder; it is made when missing.
        num_train: number of scenes to train on.
        num_val: number of scenes to validate on.
        seed: as in `write_scenes`.

    Raises:
        ValueError: as `write_scenes`.
    """
    write_scenes(root, num_train, num_val, (256, 512), 0.15, seed, "calm")


def check_counts(**counts: int) -> dict[str, int]:
    """Return numbers by their names as plain ones; raise ValueError for one that is no count."""
    for name, value in counts.items():
        if not isinstance(value, Integral) or isinstance(value, bool) or value < 0:
            raise ValueError(f"{name} must be a whole number, 0 or more, got {value!r}")
    return {name: int(value) for name, value in counts.items()}


def check_folder(root: Path, asked: dict[str, object]) -> None:
    """Raise ValueError unless `root` is free, or holds scenes made with the arguments `asked`."""
    remedy = "give another folder, or delete this one first"
    if root.exists() and not root.is_dir():
        raise ValueError(f"root must be a folder, but {root} is a file; {remedy}")
    if not root.exists() or not any(root.iterdir()):
        return
    for name in (FINISHED, UNFINISHED):
        if not (root / name).exists():
            continue
        try:
            found = json.loads((root / name).read_text())
        except ValueError as error:
            raise ValueError(f"{root / name} is not valid JSON ({error}); {remedy}") from error
        known = found if isinstance(found, dict) else {}
        if known and "street" in asked:
            # Folders that do not say so were written before there was another.
            known = {"street": "busy", **known}
        if known == asked:
            return
        other = [f"{key} {known.get(key)!r} (asked: {value!r})" for key, value in asked.items()
                 if known.get(key) != value]  # fmt: skip
        raise ValueError(
            f"root {root} holds scenes made with other arguments: {', '.join(other)}; {remedy}"
        )
    raise ValueError(f"root {root} is not empty and holds no generated scenes; {remedy}")


def _scene_files(root: Path, counts: dict[str, int]) -> Iterator[tuple[int, int, Path, Path]]:
    """Yield the split's number, the index, the picture's and the labels' file of every scene."""
    for number, (split, city) in enumerate(_CITIES.items()):
        for index in range(counts[split]):
            stem = f"{city}_{index:06d}_000000"
            yield (
                number,
                index,
                root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png",
                root / "gtFine" / split / city / f"{stem}_gtFine_labelTrainIds.png",
            )


def _draw_missing(
    missing: list[tuple[int, int, Path, Path]],
    seed: int,
    options: tuple[tuple[int, int], float, str],
) -> None:
    """Draw and write the scenes that are missing, and show how far it has come."""
    for split, index, picture_file, labels_file in track(missing, "     drawing"):
        picture, labels = draw_scene(np.random.default_rng([seed, split, index]), *options)
        for file, pixels in ((labels_file, labels), (picture_file, picture[..., ::-1])):
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, cv2.imencode(".png", pixels)[1].tobytes())


def write_whole(file: Path, content: bytes) -> None:
    """Write a file that is either whole or not there, even when the run is stopped."""
    part = file.with_name(file.name + ".part")
    part.write_bytes(content)
    os.replace(part, file)
