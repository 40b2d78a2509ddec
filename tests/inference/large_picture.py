"""A picture of 30,000x30,000 pixels: python -m tests.inference.large_picture.

As a whole it does not fit into memory and must be listed with its name; in windows it is predicted.
Memory is that of the tool's process at its peak.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from mmseg.registry import MODELS
from PIL import Image

from mmseg_pointrend.apis.configs import prepare_config
from tests.engine.kills import write_config
from tests.tools.commands import ROOT

Image.MAX_IMAGE_PIXELS = None


def main() -> None:
    """Write the picture and a small model, and predict it in both ways."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=30_000)
    parser.add_argument("--window", type=int, default=3_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = write_config(folder, iterations=1)
        model = MODELS.build(prepare_config(config).model)
        torch.save(dict(state_dict=model.state_dict()), folder / "weights.pth")
        pixels = np.zeros((args.side, args.side, 3), np.uint8)
        pixels[: args.side // 3, args.side // 2 :] = 200
        cv2.imwrite(str(folder / "large.png"), pixels)
        del pixels, model
        windows = ["--window", args.window, args.window, "--stride", args.window, args.window]
        for way, options in (("whole", []), ("windows", windows)):
            start = time.monotonic()
            command = [
                sys.executable, ROOT / "tools/predict.py", config, folder / "weights.pth",
                folder / "large.png", "--out", folder / way, *options,
            ]  # fmt: skip
            process = subprocess.Popen(map(str, command), stderr=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            seconds, peak = time.monotonic() - start, usage.ru_maxrss / 2**20
            code = os.waitstatus_to_exitcode(status)
            print(f"{way}: exit status {code}, {seconds:.0f} s, {peak:.1f} GiB", flush=True)
            for path in (folder / way).glob("labels/*.png"):
                labels = np.asarray(Image.open(path))
                print(f"label map of {labels.shape}, values {np.unique(labels[::100, ::100])}")


if __name__ == "__main__":
    main()
