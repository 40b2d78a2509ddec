"""Pictures in memory, handed on as a pipeline's loader hands on those of files.

Convention: pixels are RGB, red first, as Pillow, torchvision and matplotlib have them. OpenCV's are
turned round by `pixels[..., ::-1]`.
"""

import os
from typing import TypeAlias

import numpy as np
from mmcv.transforms import LoadImageFromFile
from PIL import Image
from torch import Tensor

#: A picture: where its file is, or its pixels, see `load_pixels`.
Source: TypeAlias = str | os.PathLike | np.ndarray | Tensor | Image.Image

#: Pillow's modes that become RGB or grey without a loss of values.
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")


def load_pixels(loader: object, picture: np.ndarray | Tensor | Image.Image) -> dict:
    """Do with pixels what a loader does with a file that holds them.

    Args:
        loader: the first step of a test pipeline, built.
        picture: (H, W) or (H, W, C) array; (H, W) or (C, H, W) tensor; or Pillow's, whose
            orientation tag is not looked at. Colours are RGB or RGBA, of which A is left out. Where
            the pipeline reads colours or grey values, uint8 from 0 to 255; where it reads files
            unchanged, of any type.

    Returns:
        what the loader gives: `img`, blue first, `img_shape` and `ori_shape`.

    Raises:
        ValueError: for a loader of one's own, which wants a file, or pixels of another shape.
        TypeError: for pixels of another type.
    """
    if type(loader) is not LoadImageFromFile:
        raise ValueError(
            f"the test pipeline begins with {type(loader).__name__}, which reads files: give the "
            "path of the picture, not its pixels"
        )
    kind = loader.color_type.removesuffix("_ignore_orientation")
    pixels = _as_array(picture, grey=kind == "grayscale")
    if kind != "unchanged":
        pixels = _as_asked(pixels, grey=kind == "grayscale")
    if pixels.ndim == 3 and pixels.shape[2] >= 3:
        pixels = np.concatenate([pixels[..., 2::-1], pixels[..., 3:]], axis=2)
    # A copy: steps may write into it.
    pixels = np.array(pixels, np.float32 if loader.to_float32 else None, order="C")
    return dict(img=pixels, img_shape=pixels.shape[:2], ori_shape=pixels.shape[:2])


def _as_array(picture: np.ndarray | Tensor | Image.Image, grey: bool) -> np.ndarray:
    """Give (H, W) or (H, W, C)."""
    if isinstance(picture, Image.Image):
        if picture.mode not in _MODES:
            raise ValueError(
                f"a picture of Pillow's mode {picture.mode} has no 8 bits a value: give "
                "np.asarray(picture) where the config reads files unchanged, or convert it"
            )
        if picture.mode in ("1", "L", "LA"):
            return np.asarray(picture.convert("L"))
        return np.asarray(picture.convert("L" if grey and picture.mode == "P" else "RGB"))
    if isinstance(picture, Tensor):
        pixels = picture.detach().cpu().numpy()
        pixels = pixels.transpose(1, 2, 0) if pixels.ndim == 3 else pixels
    else:
        pixels = np.asarray(picture)
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.ndim not in (2, 3) or not 1 <= channels <= 4 or 0 in pixels.shape:
        form = "(C, H, W)" if isinstance(picture, Tensor) else "(H, W, C)"
        raise ValueError(
            f"a picture must be {form} with 1, 3 or 4 channels, or (H, W), got "
            f"{tuple(picture.shape)}"
        )
    return pixels[..., 0] if channels == 1 and pixels.ndim == 3 else pixels


def _as_asked(pixels: np.ndarray, grey: bool) -> np.ndarray:
    """Give colours, or grey values, as the loader does of 8 bits."""
    if pixels.dtype != np.uint8:
        raise TypeError(
            f"pixels must be uint8 from 0 to 255, got {pixels.dtype}; of values in [0, 1] make "
            "them by (255 * pixels).round() and convert the type"
        )
    if grey:
        if pixels.ndim == 3:
            raise ValueError(
                f"the config reads grey pictures: pixels must be (H, W), got {pixels.shape}"
            )
        return pixels
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    if pixels.shape[2] == 2:
        raise ValueError(f"a picture must have 1, 3 or 4 channels, got {pixels.shape[2]}")
    return pixels[..., :3]
