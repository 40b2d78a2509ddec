"""The steps of a rendering side by side, as one image (paper, Fig. 9)."""

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mmseg_pointrend.inference.overlays import paint
from mmseg_pointrend.pages.rendered_picture import RenderedPicture, StepNumbers

#: Colours of what a step changed: became right, became wrong, and where nobody knows.
RIGHT, WRONG, CHANGED = (40, 200, 90), (235, 50, 50), (255, 47, 208)
POINT = (255, 47, 208)
#: Pixels: between tiles, of the captions' lines and letters, and of a point's side.
_GAP, _LINE, _LETTERS, _DOT = 6, 18, 13, 2
_PAPER, _INK = (255, 255, 255), (27, 31, 36)


def draw_steps(picture: RenderedPicture, tile_width: int = 480) -> np.ndarray:
    """Draw what each step of a rendering did.

    A column for each step, the coarse prediction first: the labels after it, its points on the
    picture, and what it changed: green what became right, red what became wrong, pink where no
    truth is known or both are wrong. On the left the picture and, if it is known, the truth.

    Args:
        picture: what was rendered.
        tile_width: pixels, of each of the pictures side by side; the height follows.

    Returns:
        (H', W', 3), uint8, red first.

    Raises:
        ValueError: for a width below 1.
    """
    if tile_width < 1:
        raise ValueError(f"tile_width must be >= 1 pixel, got {tile_width}")
    height, width = picture.pixels.shape[:2]
    size = (tile_width, max(1, round(tile_width * height / width)))
    plain = _shrunk(picture.pixels, size)
    columns = [[("picture", plain)]]
    if picture.truth is not None:
        unknown = np.where(picture.known, picture.truth, len(picture.classes))
        columns[0].append(("truth", _shrunk(_painted(picture, unknown), size)))
    for number, (step, counted) in enumerate(zip(picture.steps, picture.numbers(), strict=True)):
        name = f"step {number}" if number else "coarse"
        column = [(_caption(name, counted), _shrunk(_painted(picture, step.labels), size))]
        if number:
            dots = _with_points(plain, step.points * (size[0] / width, size[1] / height))
            changes = _shrunk(_changes(picture, number), size)
            column += [(f"{counted.points:,} points", dots), (_changed(counted), changes)]
        columns.append(column)
    return _laid_out(columns, size)


def _caption(name: str, numbers: StepNumbers) -> str:
    if numbers.right_near is None:
        return name
    return f"{name}: {100 * numbers.right_near:.1f} % right near boundaries"


def _changed(numbers: StepNumbers) -> str:
    if numbers.corrected is None:
        return f"{numbers.changed:,} pixels changed"
    return f"+{numbers.corrected:,} right, -{numbers.spoiled:,} wrong"


def _painted(picture: RenderedPicture, labels: np.ndarray) -> np.ndarray:
    return paint(picture.pixels[..., ::-1], labels, picture.palette)[..., ::-1]


def _changes(picture: RenderedPicture, number: int) -> np.ndarray:
    """Mark what a step changed on the darkened picture."""
    found = picture.pixels // 2
    changed = picture.changes(number)
    found[changed] = CHANGED
    if picture.truth is not None:
        right = picture.steps[number].labels == picture.truth
        was_right = picture.steps[number - 1].labels == picture.truth
        found[changed & picture.known & right] = RIGHT
        found[changed & picture.known & was_right & ~right] = WRONG
    return found


def _with_points(tile: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Dot points, (P, 2), in pixels of the tile, which is grey below them."""
    found = cv2.cvtColor(cv2.cvtColor(tile, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    corners = np.floor(points - 0.5 * (_DOT - 1)).astype(int)
    for right, down in np.ndindex(_DOT, _DOT):
        x, y = (corners + (right, down)).T
        inside = (x >= 0) & (y >= 0) & (x < tile.shape[1]) & (y < tile.shape[0])
        found[y[inside], x[inside]] = POINT
    return found


def _shrunk(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize to (width, height); what becomes smaller is averaged, what becomes larger is not."""
    smaller = size[0] < image.shape[1]
    way = cv2.INTER_AREA if smaller else cv2.INTER_NEAREST
    return cv2.resize(np.ascontiguousarray(image), size, interpolation=way)


def _laid_out(columns: list[list[tuple[str, np.ndarray]]], size: tuple[int, int]) -> np.ndarray:
    """Put columns of captioned tiles side by side."""
    rows = max(map(len, columns))
    across, down = size[0] + _GAP, size[1] + _LINE + _GAP
    sheet = Image.new("RGB", (len(columns) * across + _GAP, rows * down + _GAP), _PAPER)
    pen, letters = ImageDraw.Draw(sheet), ImageFont.load_default(_LETTERS)
    for number, column in enumerate(columns):
        for row, (caption, tile) in enumerate(column):
            left, top = _GAP + number * across, _GAP + row * down
            pen.text((left, top), caption, fill=_INK, font=letters)
            sheet.paste(Image.fromarray(tile), (left, top + _LINE))
    return np.asarray(sheet)
