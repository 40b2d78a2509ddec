"""Memory of a job over many pictures: python -m tests.inference.memory_over_time --pictures 10000.

Small pictures and a small model, so that the number of pictures is what counts. Prints the resident
memory of the process and its loader workers after so many pictures.
"""

import argparse
import bisect
import os
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch
from mmseg.registry import MODELS
from PIL import Image

from mmseg_pointrend.apis.configs import prepare_config
from mmseg_pointrend.apis.prediction import predict_many
from tests.engine.kills import write_config


def write_pictures(folder: Path, count: int, sizes: int = 7) -> Path:
    """Write noise of several sizes; the same few files over again, as links to them."""
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"{number // 1000}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number < sizes:
            shape = (24 + 3 * number, 40 + 5 * number, 3)
            Image.fromarray(rng.integers(0, 256, shape).astype(np.uint8)).save(path)
        else:
            os.link(folder / "0" / f"{number % sizes}.png", path)
    return folder


def write_weights(config: Path, path: Path) -> Path:
    """Write a model's random weights."""
    torch.manual_seed(0)
    model = MODELS.build(prepare_config(config).model)
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return path


def resident_bytes(process: int) -> int:
    """Count the resident bytes of a process and its children."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    total = pages * os.sysconf("SC_PAGE_SIZE")
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        for child in children.read_text().split():
            try:
                total += resident_bytes(int(child))
            except FileNotFoundError:  # it has ended
                continue
    return total


def watch(samples: list[tuple[float, int]], done: threading.Event) -> None:
    """Sample memory until it is over."""
    while not done.wait(0.5):
        samples.append((time.time(), resident_bytes(os.getpid())))


def main() -> None:
    """Predict, and print memory over the number of pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=10000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=4)
    args = parser.parse_args()
    samples: list[tuple[float, int]] = []
    done = threading.Event()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = write_config(folder, iterations=6)
        weights = write_weights(config, folder / "weights.pth")
        pictures = write_pictures(folder / "pictures", args.pictures)
        watcher = threading.Thread(target=watch, args=(samples, done))
        watcher.start()
        start = time.time()
        report = predict_many(
            config, weights, [pictures], folder / "out", batch_size=args.batch_size,
            workers=args.workers, overlays=True,
        )  # fmt: skip
        seconds = time.time() - start
        done.set()
        watcher.join()
        written = sorted(path.stat().st_mtime for path in (folder / "out/labels").rglob("*.png"))
    print(f"{report.predicted} pictures in {seconds:.0f} s")
    for number in range(args.pictures // 10, args.pictures + 1, args.pictures // 10):
        index = max(0, bisect.bisect(samples, (written[number - 1], 0)) - 1)
        print(f"{number:6d} pictures: {samples[index][1] / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
