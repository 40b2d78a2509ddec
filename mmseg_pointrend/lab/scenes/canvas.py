"""The camera and the canvas of a generated scene.

Convention: world points are (x, y, z) in metres, x to the right, y up from the road, z ahead of
the camera. The canvas is `SUPERSAMPLING` times finer than the picture that comes out, and carries
four channels: red, green, blue and the surface seen there, so that one call draws colour and label
alike and the two cannot disagree. Where things are told apart, a second canvas is drawn by the same
calls, with a number for each thing.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

import cv2
import numpy as np

# Odd, so that the canvas pixel in the middle of a picture pixel lies at its centre.
SUPERSAMPLING = 3
# Nothing nearer than this many metres is drawn: projection diverges at the camera itself.
NEAR = 1.0
# cv2 takes polygon corners as integers with this many fractional bits.
_FRACTION_BITS = 4
# Far beyond any canvas, and small enough for cv2's fixed-point arithmetic.
_FARTHEST_PIXEL = 2e5

IGNORE = 255


class Surface(IntEnum):
    """What a canvas pixel shows; the first nine are the classes, in the order of their labels."""

    ROAD = 0
    SIDEWALK = 1
    BUILDING = 2
    FENCE = 3
    POLE = 4
    VEGETATION = 5
    SKY = 6
    PERSON = 7
    CAR = 8
    LAWN = 9
    UNLABELED = 10


# Surface -> label: lawns are vegetation, unlabelled things are ignored.
LABEL_OF_SURFACE = np.array([*range(9), Surface.VEGETATION, IGNORE], dtype=np.uint8)

# What things are made of that can be counted; roads, houses and the sky cannot.
COUNTED_SURFACES = frozenset(
    {Surface.PERSON, Surface.CAR, Surface.POLE, Surface.FENCE, Surface.VEGETATION}
)

Color = np.ndarray  # (3,) float RGB, 0 to 255


@dataclass(frozen=True)
class Camera:
    """A pinhole camera in a gently bending street.

    Args:
        focal: focal length, in canvas pixels.
        center_x: column of the principal point, in canvas pixels.
        horizon: row of the horizon, in canvas pixels.
        height: height of the camera over the road, in metres.
        bend: curvature of the street to the right, in 1/m.
        heading: direction of the street against the camera's, a slope dx/dz.
        roll: rotation about the principal point, in radians.
    """

    focal: float
    center_x: float
    horizon: float
    height: float
    bend: float = 0.0
    heading: float = 0.0
    roll: float = 0.0

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project world points (..., 3) in metres to canvas pixels (..., 2), as (x, y)."""
        z = np.maximum(points[..., 2], NEAR)
        scale = self.focal / z
        across = points[..., 0] * scale + (self.bend * self.focal) * z + self.heading * self.focal
        down = (self.height - points[..., 1]) * scale
        pixels = np.empty((*points.shape[:-1], 2))
        # For the few hundredths of a radian that a car rolls, cos = 1 and sin = roll.
        pixels[..., 0] = across - self.roll * down + self.center_x
        pixels[..., 1] = down + self.roll * across + self.horizon
        return pixels

    def pixels_per_meter(self, z: float) -> float:
        """Size of one metre at depth `z`, in canvas pixels."""
        return self.focal / max(z, NEAR)


class Canvas:
    """A supersampled picture with its surfaces, drawn from back to front.

    Args:
        size: height and width of the picture, in picture pixels.
        camera: the camera, in canvas pixels.
        haze: (3,) RGB colour that distant things fade to.
        visibility: distance in metres at which a thing has faded to a share of 1 - 1/e.
        count_things: whether to keep `things`.

    Attributes:
        things: the number of the thing that each canvas pixel shows, uint16; None if not kept.
        thing: number of the thing that is being drawn; 0 for what is not counted.
    """

    def __init__(
        self,
        size: tuple[int, int],
        camera: Camera,
        haze: Color,
        visibility: float,
        count_things: bool = False,
    ) -> None:
        self.size = size
        self.camera = camera
        self.haze = haze
        self.visibility = visibility
        rows, columns = size
        self.pixels = np.zeros((rows * SUPERSAMPLING, columns * SUPERSAMPLING, 4), np.uint8)
        self.shadow = np.zeros((rows, columns), np.uint8)
        self.things = np.zeros(self.pixels.shape[:2], np.uint16) if count_things else None
        self.thing = 0

    def fill_rows(self, colors: np.ndarray, surface: Surface) -> None:
        """Fill the whole canvas with one colour per row, `colors` being (canvas rows, 3)."""
        rows = np.full((len(colors), 4), surface, np.uint8)
        rows[:, :3] = colors
        # One write per pixel in place of four.
        self.pixels.view(np.uint32)[...] = rows.view(np.uint32)[:, None]

    def fill(self, polygons: np.ndarray, color: Color, surface: Surface, z: float) -> None:
        """Fill world polygons.

        Args:
            polygons: (V, 3) one polygon, or (M, V, 3) polygons that do not overlap, in metres.
            color: (3,) RGB, before haze.
            surface: what the polygons show.
            z: depth that the haze is taken at, in metres.
        """
        corners = _fixed_point(self.camera.project(polygons))
        contours = [corners] if corners.ndim == 2 else list(corners)
        paint = self._paint(color, surface, z).tolist()
        for plane, value in self._planes(paint, surface):
            cv2.fillPoly(plane, contours, value, shift=_FRACTION_BITS)

    def stroke(
        self,
        lines: np.ndarray | Sequence[np.ndarray],
        width: float,
        color: Color,
        surface: Surface,
        z: float,
    ) -> None:
        """Draw world polylines of one width, never thinner than one picture pixel.

        A thinner line would vanish from the labels here and there, which are taken at the centres
        of the picture's pixels.

        Args:
            lines: (V, 3) one line or (M, V, 3) lines, in metres.
            width: width, in metres.
            color: (3,) RGB, before haze.
            surface: what the lines show.
            z: depth that width and haze are taken at, in metres.
        """
        corners = _fixed_point(self.camera.project(np.asarray(lines)))
        contours = [corners] if corners.ndim == 2 else list(corners)
        thickness = max(SUPERSAMPLING, round(width * self.camera.pixels_per_meter(z)))
        paint = self._paint(color, surface, z).tolist()
        for plane, value in self._planes(paint, surface):
            cv2.polylines(plane, contours, False, value, thickness, shift=_FRACTION_BITS)

    def fill_pixels(self, corners: np.ndarray, color: Color, surface: Surface) -> None:
        """Fill a polygon (V, 2) in canvas pixels, nearer than all things and without haze."""
        for plane, value in self._planes([*color.tolist(), int(surface)], surface):
            cv2.fillPoly(plane, [corners.round().astype(np.int32)], value)

    def stroke_pixels(
        self, corners: np.ndarray, width: int, color: Color, surface: Surface
    ) -> None:
        """Draw a line (V, 2) in canvas pixels, as `fill_pixels`."""
        for plane, value in self._planes([*color.tolist(), int(surface)], surface):
            cv2.polylines(plane, [corners.round().astype(np.int32)], False, value, width)

    def cast_shadow(self, polygon: np.ndarray) -> None:
        """Darken a ground polygon (V, 3), in metres, wherever ground is seen in the end."""
        corners = _fixed_point(self.camera.project(polygon) / SUPERSAMPLING)
        cv2.fillPoly(self.shadow, [corners], 255, shift=_FRACTION_BITS)

    def scatter(
        self,
        center: tuple[float, float, float],
        radii: tuple[float, float],
        grain: np.ndarray,
        grain_shift: tuple[float, float],
        color: Color,
        density: float,
    ) -> None:
        """Draw a crown of leaves: an ellipse with a ragged edge, and holes to see through.

        Args:
            center: the crown's centre, in metres.
            radii: half width and half height, in metres.
            grain: (S, S) float32 periodic noise, about 0 to 1, ten of its pixels to the metre.
            grain_shift: where in `grain` the crown lies, in pixels of it.
            color: (3,) RGB of a leaf in middling light, before haze.
            density: 0 for a few twigs, 1 for a crown almost without holes.
        """
        scale = self.camera.pixels_per_meter(center[2])
        middle = self.camera.project(np.array(center))
        # The noise lets leaves stand out of the ellipse by a fifth.
        reach = 1.2 * scale * np.array(radii)
        limits = np.array(self.pixels.shape[1::-1])
        left, top = np.clip(np.floor(middle - reach), 0, limits).astype(int)
        right, bottom = np.clip(np.ceil(middle + reach), 0, limits).astype(int)
        if right <= left or bottom <= top:
            return
        u = (np.arange(left, right, dtype=np.float32) - middle[0]) / (scale * radii[0])
        v = (np.arange(top, bottom, dtype=np.float32)[:, None] - middle[1]) / (scale * radii[1])
        step, size, corner = 10.0 / scale, (right - left, bottom - top), (left, top)
        leaves = _window(grain, size, step, corner, middle, grain_shift)
        threshold = 0.345 - 0.45 * density
        mask = leaves > (0.5 * v * v + threshold) + 0.5 * u * u
        other = (grain_shift[0] + 97.0, grain_shift[1] + 41.0)
        light = _window(grain, size, 2 * step, corner, middle, other)
        # Leaves are lighter towards the top; 48 tones are enough and make one table look-up.
        light *= 31
        light += np.clip(16 - 14 * v, 0, 32)
        tones = np.minimum(light, 47, out=light).astype(np.uint8)
        ramp = np.linspace(0.35, 1.5, 48)[:, None] * color
        palette = self._paint(ramp, Surface.VEGETATION, center[2]).astype(np.uint8)
        region = self.pixels.view(np.uint32)[top:bottom, left:right, 0]
        np.copyto(region, palette.view(np.uint32)[:, 0][tones], where=mask)
        if self.things is not None:
            self.things[top:bottom, left:right][mask] = self.thing

    def _planes(
        self, paint: list[float], surface: Surface
    ) -> Iterator[tuple[np.ndarray, list[float]]]:
        """Yield what is drawn on, and the value to draw there."""
        yield self.pixels, paint
        if self.things is not None:
            yield self.things, [self.thing if surface in COUNTED_SURFACES else 0]

    def _paint(self, color: np.ndarray, surface: Surface, z: float) -> np.ndarray:
        """Haze colours (..., 3) at depth `z` and append their surface: (..., 4) float."""
        clear = math.exp(-z / self.visibility)
        paint = np.empty((*color.shape[:-1], 4))
        paint[..., :3] = color * clear + self.haze * (1.0 - clear)
        np.minimum(np.maximum(paint, 0.0, out=paint), 255.0, out=paint)
        paint[..., 3] = surface
        return paint


def _fixed_point(pixels: np.ndarray) -> np.ndarray:
    """Turn pixel coordinates into cv2's fixed-point integers."""
    clipped = np.minimum(np.maximum(pixels, -_FARTHEST_PIXEL), _FARTHEST_PIXEL)
    return np.rint(clipped * (1 << _FRACTION_BITS)).astype(np.int32)


def _window(
    grain: np.ndarray,
    size: tuple[int, int],
    step: float,
    corner: tuple[int, int],
    middle: np.ndarray,
    shift: tuple[float, float],
) -> np.ndarray:
    """Look at periodic noise through a window of (width, height) pixels.

    Each is `step` noise pixels wide; the noise at `shift` shows at the canvas pixel `middle`.
    """
    matrix = np.array(
        [
            [step, 0.0, shift[0] + step * (corner[0] - middle[0])],
            [0.0, step, shift[1] + step * (corner[1] - middle[1])],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(grain, matrix, size, flags=flags, borderMode=cv2.BORDER_WRAP)
