"""What stands where in a generated street, and in which order it is drawn.

Convention: along a line of sight, what stands farther to the side of the street is also farther
away. So the street is drawn in rows, from the houses inwards to the road, and each row from far to
near.
"""

from collections.abc import Callable
from enum import IntEnum
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np

from mmseg_pointrend.lab.scenes import objects
from mmseg_pointrend.lab.scenes.canvas import Canvas, Surface
from mmseg_pointrend.lab.scenes.street import Street


class _Row(IntEnum):
    """Rows of things on either side of the street, from the outside in."""

    HOUSES = 0
    GARDEN = 1
    GARDEN_FENCE = 2
    PAVEMENT = 3
    KERB = 4
    ROAD = 5


class _Thing(NamedTuple):
    """Something that waits to be drawn, at a depth in metres."""

    row: _Row
    depth: float
    draw: Callable[[], None]
    # Wires belong to no pole.
    counted: bool = True


def draw_street(
    canvas: Canvas,
    rng: np.random.Generator,
    street: Street,
    difficulty: float,
    sun: tuple[float, float],
) -> None:
    """Draw the woods at the horizon, the ground, and all that stands on it.

    Args:
        canvas: what to draw on; it shows the sky.
        rng: the scene's generator.
        street: what it has more or less of.
        difficulty: of the scene, from 0 to 1.
        sun: where the shadow of a point one metre high falls, as (x, z) in metres.
    """
    half, shift = rng.uniform(3.0, 6.0), rng.uniform(-1.6, 1.6)
    kerbs = (shift - half, shift + half)
    edges = (kerbs[0] - rng.uniform(1.5, 4.0), kerbs[1] + rng.uniform(1.5, 4.0))
    outer = Surface.LAWN if rng.random() < 0.7 else Surface.SIDEWALK
    asphalt = objects.pick_color(rng, Surface.ROAD, 0.6 * difficulty)
    paving = objects.pick_color(rng, Surface.SIDEWALK, 0.6 * difficulty)
    lawn = objects.pick_color(rng, outer, 0.6 * difficulty)
    grain = _leaf_grain(rng) if street.ragged else _bough_grain(rng)
    foliage = objects.Foliage(grain, twigs=street.ragged)
    _draw_woods(canvas, rng, grain, difficulty)
    objects.draw_ground(canvas, (edges[0], *kerbs, edges[1]), (lawn, paving, asphalt), outer)
    objects.draw_markings(canvas, rng, kerbs, asphalt)

    things, street_end = _plan_far_houses(canvas, rng, street, difficulty)
    fenced = rng.integers(2)
    for index, side in enumerate((-1, 1)):
        setback = rng.uniform(2, 8) if index == fenced or rng.random() < 0.4 else 0.3
        front = edges[index] + side * setback
        things += _plan_houses(canvas, rng, street, front, difficulty, sun)
        if setback > 1:
            garden = (edges[index], side * setback)
            things += _plan_garden(canvas, rng, street, garden, foliage, difficulty)
        pavement = (kerbs[index], edges[index])
        things += _plan_pavement(canvas, rng, street, pavement, side, foliage, difficulty, sun)
    if street.wires:
        things += _plan_wires(canvas, rng, kerbs, difficulty, sun)
    things += _plan_traffic(canvas, rng, kerbs, difficulty)
    # The sort is stable: things of equal row and depth are drawn in the order of the plan.
    for number, thing in enumerate(sorted(things, key=lambda thing: (thing.row, -thing.depth)), 1):
        if thing.depth <= street_end:
            canvas.thing = number if thing.counted else 0
            thing.draw()
    canvas.thing = 0


def _leaf_grain(rng: np.random.Generator, side: int = 256) -> np.ndarray:
    """Make periodic noise (side, side) float32, about 0 to 1: small leaves on larger boughs."""
    total = np.zeros((side, side), np.float32)
    for cells, weight in ((side // 2, 0.4), (side // 5, 0.65), (side // 16, 0.65)):
        # Wrapping by a cell on each side before enlarging keeps the noise periodic.
        wrapped = np.pad(rng.random((cells, cells), dtype=np.float32), 1, mode="wrap")
        enlarged = cv2.resize(wrapped, None, fx=side / cells, fy=side / cells)
        margin = round(side / cells)
        total += weight * enlarged[margin : margin + side, margin : margin + side]
    return np.clip((total - 0.45) / 0.8, 0, 1)


def _bough_grain(rng: np.random.Generator, side: int = 256) -> np.ndarray:
    """Make noise as `_leaf_grain`, 0.35 to 0.6: of boughs alone, without holes between them."""
    cells = side // 16
    wrapped = np.pad(rng.random((cells, cells), dtype=np.float32), 1, mode="wrap")
    enlarged = cv2.resize(wrapped, None, fx=16, fy=16, interpolation=cv2.INTER_CUBIC)
    return np.clip(0.35 + 0.25 * enlarged[16 : 16 + side, 16 : 16 + side], 0.35, 0.6)


def _draw_woods(
    canvas: Canvas, rng: np.random.Generator, grain: np.ndarray, difficulty: float
) -> None:
    """Draw woods along the horizon; the ground is drawn over their lower part."""
    color = objects.pick_color(rng, Surface.VEGETATION, difficulty)
    x = np.linspace(-900, 900, 600)
    tops = np.abs(rng.normal(0, 1, 600)) + rng.uniform(2, 8)
    ridge = np.stack([x, tops, np.full(600, 300.0)], axis=-1)
    outline = np.vstack([ridge, [[900, -9, 300], [-900, -9, 300]]])
    canvas.fill(outline, color, Surface.VEGETATION, 300.0)
    for _ in range(5):
        center = (rng.uniform(-90, 90), rng.uniform(0, 4), rng.uniform(150, 220))
        radii = (rng.uniform(9, 20), rng.uniform(4, 11))
        shift = tuple(rng.uniform(0, len(grain), 2))
        tint = color * rng.uniform(0.8, 1.2, 3)
        canvas.scatter(center, radii, grain, shift, tint, 0.95)


def _plan_far_houses(
    canvas: Canvas, rng: np.random.Generator, street: Street, difficulty: float
) -> tuple[list[_Thing], float]:
    """Close the street with houses across its end, at times; also returns the depth of the end."""
    things: list[_Thing] = []
    if rng.random() > street.closed:
        return things, float("inf")
    z = rng.uniform(*street.end)
    for x in np.arange(-48, 48, 12.0):
        height = rng.uniform(5, 16)
        tint = objects.pick_color(rng, Surface.BUILDING, difficulty)
        face = objects.board((x, x + 12), (0, height), z)
        paint = partial(canvas.fill, face, tint, Surface.BUILDING, z)
        things.append(_Thing(_Row.HOUSES, z, paint))
        pane = objects.board((0, 1.2), (0, 1.5), z)
        columns, sills = np.arange(x + 1, x + 10, 3), np.arange(1, height - 2, 3)
        panes = objects.repeat(pane, "xy", columns, sills)
        paint = partial(canvas.fill, panes, tint * 0.6, Surface.BUILDING, z)
        things.append(_Thing(_Row.HOUSES, z - 0.1, paint))
    return things, z


def _plan_houses(
    canvas: Canvas,
    rng: np.random.Generator,
    street: Street,
    x: float,
    difficulty: float,
    sun: tuple[float, float],
) -> list[_Thing]:
    """Line up houses along `x`, with gaps to see the sky through."""
    things: list[_Thing] = []
    z, tallest = rng.uniform(1, 16), rng.uniform(5, 18)
    gaps = rng.uniform(*street.gaps)
    while z < 110:
        length, height = rng.uniform(7, 20), max(3.5, tallest * rng.uniform(0.55, 1.1))
        draw = partial(objects.draw_building, canvas, rng, x, (z, z + length), height, difficulty)
        # By its far end, so that the house beyond it, whose front it hides, is drawn before.
        things.append(_Thing(_Row.HOUSES, z + length, draw))
        if sun[0] * x < 0:
            reach = -np.sign(x) * min(abs(sun[0]) * height, 9.0)
            canvas.cast_shadow(objects.patch((x, x + reach), (z, z + length)))
        z += length + (rng.uniform(2, 14) if rng.random() < gaps else 0.0)
    return things


def _plan_garden(
    canvas: Canvas,
    rng: np.random.Generator,
    street: Street,
    ground: tuple[float, float],
    foliage: objects.Foliage,
    difficulty: float,
) -> list[_Thing]:
    """Fence the `ground` from the sidewalk's outer edge, so deep, to the houses, and plant it."""
    things: list[_Thing] = []
    edge, depth = ground
    z = rng.uniform(3, 7)
    for _ in range(2):
        length = rng.uniform(6, 16)
        fence = ((edge, z), (edge, z + length))
        draw = partial(objects.draw_fence, canvas, rng, fence, street.fences, difficulty)
        things.append(_Thing(_Row.GARDEN_FENCE, z, draw))
        if rng.random() < 0.5 + 0.3 * difficulty:
            across = ((edge, z + length), (edge + depth, z + length))
            draw = partial(objects.draw_fence, canvas, rng, across, street.fences, difficulty)
            things.append(_Thing(_Row.GARDEN, z + length, draw))
        z += length + rng.uniform(1, 6)
    for _ in range(rng.integers(*street.plants)):
        x, z = edge + depth * rng.uniform(0.3, 0.9), rng.uniform(6, 45)
        plant = objects.draw_bushes if rng.random() < 0.5 else objects.draw_tree
        draw = partial(plant, canvas, rng, x, z, foliage, difficulty)
        things.append(_Thing(_Row.GARDEN, z, draw))
    return things


def _plan_pavement(
    canvas: Canvas,
    rng: np.random.Generator,
    street: Street,
    between: tuple[float, float],
    side: int,
    foliage: objects.Foliage,
    difficulty: float,
    sun: tuple[float, float],
) -> list[_Thing]:
    """Furnish a sidewalk that runs from the kerb to its outer edge, `between`."""
    things: list[_Thing] = []
    kerb, edge = between
    line = kerb + 0.5 * side

    def place(draw: Callable[..., None], x: float, z: float, *rest: object) -> None:
        things.append(_Thing(_Row.PAVEMENT, z, partial(draw, canvas, rng, x, z, *rest)))

    spacing = rng.uniform(*street.lamps) / (0.7 + 0.6 * difficulty)
    for z in np.arange(rng.uniform(7, 18), 80, spacing):
        place(objects.draw_pole, line, float(z), "lamp", difficulty, sun, street.girth)
    for _ in range(rng.integers(street.signs[0], street.signs[1] + round(3 * difficulty))):
        kind = str(rng.choice(["sign", "sign", "light"]))
        place(objects.draw_pole, line, rng.uniform(9, 45), kind, difficulty, sun, street.girth)
    if rng.random() < street.bollards:
        for z in rng.uniform(7, 14) + np.arange(rng.integers(3, 7)) * 2.0:
            place(objects.draw_pole, line, float(z), "bollard", difficulty, sun, street.girth)
    if street.railings and rng.random() < 0.25 + 0.3 * difficulty:
        z = rng.uniform(6, 14)
        railing = ((kerb + 0.2 * side, z), (kerb + 0.2 * side, z + rng.uniform(4, 9)))
        draw = partial(objects.draw_fence, canvas, rng, railing, street.fences, difficulty)
        things.append(_Thing(_Row.KERB, z, draw))
    if rng.random() < street.trees:
        for z in np.arange(rng.uniform(9, 25), 70, rng.uniform(9, 20)):
            place(objects.draw_tree, line + 0.5 * side, float(z), foliage, difficulty)
    for _ in range(rng.integers(*street.people)):
        near, far = street.seen_at
        z = float(np.exp(rng.uniform(np.log(near), np.log(far))))
        x = rng.uniform(min(kerb, edge), max(kerb, edge))
        place(objects.draw_person, x, z, difficulty)
    for _ in range(rng.integers(0, 3)):
        place(objects.draw_unlabeled, edge - 0.7 * side, rng.uniform(7, 30), difficulty)
    return things


def _plan_wires(
    canvas: Canvas,
    rng: np.random.Generator,
    kerbs: tuple[float, float],
    difficulty: float,
    sun: tuple[float, float],
) -> list[_Thing]:
    """Hang wires from poles along one kerb, or across the street."""
    things: list[_Thing] = []
    color = objects.pick_color(rng, Surface.POLE, 0.5 * difficulty) * 0.6
    side = int(rng.integers(2))
    x = kerbs[side] + (0.6 if side else -0.6)
    if rng.random() < 0.65:
        depths = np.arange(rng.uniform(-12, 8), 100, rng.uniform(18, 30))
        offsets = np.linspace(-0.8, 0.8, int(rng.integers(2, 3 + round(2 * difficulty))))
        sag = rng.uniform(0.3, 1.0)
        for near, far in zip(depths[:-1], depths[1:], strict=True):
            pole = partial(objects.draw_pole, canvas, rng, x, far, "wires", difficulty, sun)
            things.append(_Thing(_Row.PAVEMENT, far, pole))
            for offset in offsets:
                ends = np.array([[x + offset, 7.0, near], [x + offset, 7.0, far]])
                wire = partial(objects.draw_wire, canvas, ends[0], ends[1], sag, color)
                things.append(_Thing(_Row.PAVEMENT, (near + far) / 2, wire, counted=False))
    for _ in range(rng.integers(1, 3 + round(3 * difficulty))):
        z = rng.uniform(12, 50)
        reach = np.array([kerbs[0] - 4, kerbs[1] + 4])
        ends = np.stack([reach, rng.uniform(5.5, 8.5, 2), z + rng.uniform(-3, 3, 2)], axis=-1)
        wire = partial(objects.draw_wire, canvas, ends[0], ends[1], rng.uniform(0.2, 0.8), color)
        things.append(_Thing(_Row.PAVEMENT, z, wire, counted=False))
    return things


def _plan_traffic(
    canvas: Canvas, rng: np.random.Generator, kerbs: tuple[float, float], difficulty: float
) -> list[_Thing]:
    """Park cars at both kerbs and let a few drive, near and far; somebody may cross the road."""
    things: list[_Thing] = []

    def place(draw: Callable[..., None], x: float, z: float) -> None:
        things.append(_Thing(_Row.ROAD, z, partial(draw, canvas, rng, x, z, difficulty)))

    middle = (kerbs[0] + kerbs[1]) / 2
    for kerb, inward in ((kerbs[0], 1), (kerbs[1], -1)):
        parked, z = rng.random() < 0.55, rng.uniform(6, 22)
        for _ in range(rng.integers(1, 6)):
            if parked:
                place(objects.draw_car, kerb + 1.1 * inward, z)
            z += rng.uniform(5.5, 12)
        lane = middle - inward * abs(kerbs[1] - kerbs[0]) * 0.22
        for _ in range(rng.integers(0, 3)):
            place(objects.draw_car, lane, float(np.exp(rng.uniform(np.log(11), np.log(75)))))
    if rng.random() < 0.3:
        place(objects.draw_person, rng.uniform(*kerbs), rng.uniform(12, 35))
    return things
