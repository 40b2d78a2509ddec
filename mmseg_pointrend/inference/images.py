"""Image files found damaged before they are read."""

from pathlib import Path

from mmseg_pointrend.datasets.picture_files import is_cut_off


def check_image(path: str | Path) -> None:
    """Find what a decoder would pass over without a word: a missing file, one without its end.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is a JPEG or PNG that was cut off.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"image {path} does not exist")
    if is_cut_off(path):
        raise ValueError(f"image {path} is damaged: its end is missing")
