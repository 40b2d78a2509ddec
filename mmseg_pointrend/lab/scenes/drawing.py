"""Draw one street scene with exact labels: the thin and ragged borders that PointRend is for.

A scene is a small world of poles, wires, fences, leaves, roofs, cars and passers-by, seen by a
camera in a car and drawn from back to front. It is drawn finer than the picture: colours are
averaged over each pixel, as a camera does; the label is what lies at the pixel's centre.
"""

from numbers import Integral, Real

import cv2
import numpy as np

from mmseg_pointrend.lab.scenes import objects
from mmseg_pointrend.lab.scenes.canvas import (
    IGNORE,
    LABEL_OF_SURFACE,
    SUPERSAMPLING,
    Camera,
    Canvas,
    Surface,
)
from mmseg_pointrend.lab.scenes.plan import draw_street
from mmseg_pointrend.lab.scenes.street import find_street

__all__ = ["IGNORE", "SMALLEST_SIDE", "check_scene_options", "draw_scene", "draw_scene_things"]

# In smaller pictures most things are less than a pixel.
SMALLEST_SIDE = 64


def draw_scene(
    rng: np.random.Generator,
    size: tuple[int, int] = (192, 384),
    difficulty: float = 0.5,
    street: str = "busy",
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a street scene and its labels.

    The same generator state shows the same street at every size, with other noise.

    Args:
        rng: source of all randomness; it is advanced.
        size: height and width, in pixels, each at least `SMALLEST_SIDE`.
        difficulty: from 0 to 1. It raises the sensor noise, the blur, the strength of shadows,
            haze and colour casts, the overlap of the classes' colours and the number of poles,
            wires and fences, and lowers the contrast.
        street: 'busy', or 'calm', with fewer and larger things: closed fences, plants with smooth
            outlines, no wires, and houses across its end (`street.STREETS`).

    Returns:
        the picture, (H, W, 3) uint8 RGB, and its labels, (H, W) uint8: the index into the
        classes of `DemoScenesDataset`, or `IGNORE` (255) for unlabelled things and the bonnet of
        the camera's own car.

    Raises:
        TypeError: if `rng` is not a NumPy generator.
        ValueError: if `size` or `difficulty` is out of range, or `street` another.
    """
    picture, labels, _ = _draw(rng, size, difficulty, street, count_things=False)
    return picture, labels


def draw_scene_things(
    rng: np.random.Generator,
    size: tuple[int, int] = (192, 384),
    difficulty: float = 0.5,
    street: str = "busy",
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw a street scene, its labels, and which thing is seen where.

    Arguments and errors are those of `draw_scene`, and so are picture and labels.

    Returns:
        the picture, its labels, and the things, (H, W) uint16: a number for each person, car, pole
        (with what it carries), fence and plant, the larger the nearer, and 0 where none is seen.
        Every pixel of a thing has the same label. A thing that another hides has no pixel.
    """
    picture, labels, things = _draw(rng, size, difficulty, street, count_things=True)
    assert things is not None
    return picture, labels, things


def _draw(
    rng: np.random.Generator,
    size: tuple[int, int],
    difficulty: float,
    street: str,
    count_things: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"rng must be a numpy.random.Generator, got {type(rng).__name__}; "
            "numpy.random.default_rng(0) makes one"
        )
    size, difficulty = check_scene_options(size, difficulty)
    contents = find_street(street)
    canvas, sun = _open_canvas(rng, size, difficulty, count_things)
    draw_street(canvas, rng, contents, difficulty, sun)
    _draw_bonnet(canvas, rng)
    picture, labels = _develop(canvas, rng, difficulty)
    return picture, labels, None if canvas.things is None else _at_centers(canvas.things)


def check_scene_options(size: tuple[int, int], difficulty: float) -> tuple[tuple[int, int], float]:
    """Return `size` and `difficulty` as plain numbers, or raise ValueError that names the fault."""
    pair = tuple(size) if isinstance(size, (tuple, list)) else ()
    whole = all(isinstance(side, Integral) and not isinstance(side, bool) for side in pair)
    if len(pair) != 2 or not whole or min(pair) < SMALLEST_SIDE:
        raise ValueError(
            f"size must be (height, width), whole numbers of at least {SMALLEST_SIDE} pixels, "
            f"such as (192, 384); got {size!r}"
        )
    number = isinstance(difficulty, Real) and not isinstance(difficulty, bool)
    if not number or not 0 <= difficulty <= 1:
        raise ValueError(f"difficulty must be a number from 0 to 1, got {difficulty!r}")
    return (int(pair[0]), int(pair[1])), float(difficulty)


def _open_canvas(
    rng: np.random.Generator, size: tuple[int, int], difficulty: float, count_things: bool
) -> tuple[Canvas, tuple[float, float]]:
    """Set up the camera and paint the sky; also returns where the shadow of one metre falls."""
    rows, columns = (side * SUPERSAMPLING for side in size)
    camera = Camera(
        focal=rows * rng.uniform(1.5, 2.1),
        center_x=columns / 2 + rows * rng.normal(0, 0.08),
        horizon=rows * rng.uniform(0.42, 0.54),
        height=rng.uniform(1.3, 2.0),
        bend=rng.normal(0, 6e-4),
        heading=rng.normal(0, 0.06),
        roll=rng.normal(0, 0.015),
    )
    low = objects.pick_color(rng, Surface.SKY, 0.4 * difficulty)
    high = objects.pick_color(rng, Surface.SKY, 0.4 * difficulty) * rng.uniform(0.75, 1.05)
    low = 0.6 * low + 0.4 * low.max() + rng.uniform(0, 20)
    visibility = rng.uniform(350, 600) - 250 * difficulty
    canvas = Canvas(size, camera, low, visibility, count_things)
    share = np.linspace(0, 1, rows)[:, None] ** rng.uniform(0.7, 1.5)
    share = np.minimum(share * rows / camera.horizon, 1.0)
    canvas.fill_rows(np.clip(high + (low - high) * share, 0, 255), Surface.SKY)
    sun = (float(rng.uniform(-1.2, 1.2)), float(rng.uniform(-0.6, 0.6)))
    return canvas, sun


def _draw_bonnet(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw the bonnet of the camera's own car along the bottom; nobody labels it."""
    seen, rise, lean = rng.random() < 0.75, rng.uniform(0.03, 0.09), rng.uniform(-0.2, 0.2)
    color = objects.pick_color(rng, Surface.CAR, 0.5)
    if not seen:
        return
    rows, columns = canvas.pixels.shape[:2]
    x = np.linspace(-1.1, 1.1, 24)
    y = rows * (1 - rise * (1 - np.abs(x + lean * x * x) ** 3))
    outline = np.stack([(x + 1) * columns / 2, y], axis=-1)
    corners = np.vstack([outline, [[columns, rows], [0, rows]]])
    canvas.fill_pixels(corners, color.clip(0, 255), Surface.UNLABELED)
    glint = (color * 1.5).clip(0, 255)
    canvas.stroke_pixels(outline[4:-4], 2 * SUPERSAMPLING, glint, Surface.UNLABELED)


def _develop(
    canvas: Canvas, rng: np.random.Generator, difficulty: float
) -> tuple[np.ndarray, np.ndarray]:
    """Turn the canvas into a picture and its labels: average, light, weather, lens and sensor."""
    rows, columns = canvas.size
    surfaces = _at_centers(canvas.pixels[..., 3])
    averaged = cv2.resize(canvas.pixels, (columns, rows), interpolation=cv2.INTER_AREA)
    # One draw per scene before the noise, whose amount depends on the size.
    strength = rng.uniform(0.5, 1.5, (len(Surface), 3)).astype(np.float32)
    darkness = float(rng.uniform(0.1, 0.3) + 0.3 * difficulty * rng.random())
    spread = 0.02 + 0.08 * difficulty
    cast = np.exp(rng.uniform(-1.5, 1.5, 3) * spread).astype(np.float32)
    contrast = float(1.1 - 0.4 * difficulty * rng.random())
    brightness = float(rng.normal(0, 3 + 14 * difficulty))
    lamp = np.exp(rng.normal(0, 0.06 + 0.16 * difficulty, (3, 4))).astype(np.float32)

    gain = _texture(rng, surfaces, strength * (0.4 + 0.6 * difficulty))
    ground = (surfaces <= Surface.SIDEWALK) | (surfaces == Surface.LAWN)
    shadow = cv2.GaussianBlur(canvas.shadow, (0, 0), 0.8 * rows / 192)
    gain *= 1 - darkness * ground * shadow.astype(np.float32) / 255
    gain *= cv2.resize(lamp, (columns, rows), interpolation=cv2.INTER_CUBIC)
    picture = cv2.cvtColor(averaged, cv2.COLOR_RGBA2RGB).astype(np.float32)
    picture *= cv2.merge([gain * (contrast * share) for share in cast])
    picture = cv2.GaussianBlur(picture, (0, 0), 0.25 + 0.3 * difficulty)
    noise = rng.standard_normal(picture.shape, dtype=np.float32)
    noise *= contrast * (1.5 + 7 * difficulty)
    picture += noise
    # Contrast is around middle grey; the half turns the truncation to uint8 into rounding.
    picture += 128 * (1 - contrast) + brightness + 0.5
    np.clip(picture, 0, 255, out=picture)
    return picture.astype(np.uint8), LABEL_OF_SURFACE[surfaces]


def _at_centers(plane: np.ndarray) -> np.ndarray:
    """Take a plane of the canvas at the centres of the picture's pixels."""
    middle = SUPERSAMPLING // 2
    return plane[middle::SUPERSAMPLING, middle::SUPERSAMPLING]


# Relative depth of fine, middling and coarse texture on each surface, in the order of Surface.
_TEXTURE = np.array(
    [
        [0.06, 0.05, 0.08],  # road
        [0.07, 0.06, 0.08],  # sidewalk
        [0.05, 0.06, 0.08],  # building
        [0.03, 0.03, 0.05],  # fence
        [0.03, 0.03, 0.08],  # pole
        [0.10, 0.10, 0.10],  # vegetation
        [0.00, 0.03, 0.09],  # sky
        [0.05, 0.06, 0.05],  # person
        [0.02, 0.05, 0.08],  # car
        [0.10, 0.09, 0.10],  # lawn
        [0.06, 0.06, 0.06],  # unlabelled
    ],
    dtype=np.float32,
)


def _texture(rng: np.random.Generator, surfaces: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Brightness (H, W) float32 around 1 that varies on three scales, by what is seen."""
    rows, columns = surfaces.shape
    depth = _TEXTURE * strength
    gain = np.ones((rows, columns), np.float32)
    for scale, cell in enumerate((1, 4, 24)):
        cell *= max(1, round(rows / 192))
        cells = (-(-rows // cell), -(-columns // cell))
        field = rng.standard_normal(cells, dtype=np.float32)
        field = cv2.resize(field, (columns, rows), interpolation=cv2.INTER_LINEAR)
        gain += depth[:, scale][surfaces] * field
    return gain
