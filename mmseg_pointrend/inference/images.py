"""Image files found damaged before they are read."""

import mmap
from pathlib import Path


def check_image(path: str | Path) -> None:
    """Find what a decoder would pass over without a word: a missing file, a JPEG without its end.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is a JPEG that was cut off.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"image {path} does not exist")
    if _is_jpeg_without_end(path):
        raise ValueError(f"image {path} is damaged: its end is missing")


def _is_jpeg_without_end(path: Path) -> bool:
    """Whether a JPEG file was cut off: OpenCV would fill what is missing with grey."""
    with path.open("rb") as file:
        if file.read(3) != b"\xff\xd8\xff":
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            position = 2
            # Segments before the picture (a thumbnail has an end of its own): marker and length.
            while data[position : position + 1] == b"\xff":
                if data[position + 1 : position + 2] == b"\xda":  # start of scan
                    return data.find(b"\xff\xd9", position) < 0
                position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return False  # not laid out like this: for OpenCV to judge
