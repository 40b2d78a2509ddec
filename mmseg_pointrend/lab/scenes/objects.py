"""How each thing of a street is drawn, from a kerb to a passer-by.

Every function takes the canvas, the scene's random generator and a place in metres (see
`canvas`), and draws the thing over what is already there. How many random numbers a function
uses depends on the scene alone, never on the size of the picture: one generator state shows one
street at every size.
"""

from typing import NamedTuple

import numpy as np

from mmseg_pointrend.lab.scenes.canvas import NEAR, SUPERSAMPLING, Canvas, Color, Surface

# Below this many picture pixels from bar to bar, a fence is one surface to the eye; it is then
# drawn and labelled without its gaps, as an annotator would.
_CLOSEST_BARS = 3.0

# Overlapping on purpose: greys, browns and greens serve many classes.
_COLORS: dict[Surface, tuple[tuple[int, int, int], ...]] = {
    Surface.ROAD: ((96, 96, 100), (122, 120, 116), (78, 80, 88), (132, 124, 112)),
    Surface.SIDEWALK: ((140, 136, 132), (118, 112, 108), (156, 140, 126), (128, 132, 138)),
    Surface.BUILDING: (
        (150, 134, 116),
        (134, 90, 74),
        (176, 172, 164),
        (112, 116, 122),
        (158, 160, 138),
        (120, 134, 152),
        (188, 168, 128),
        (96, 84, 76),
    ),
    Surface.FENCE: ((74, 76, 78), (58, 78, 62), (122, 96, 70), (176, 176, 172), (104, 110, 116)),
    Surface.POLE: ((86, 88, 90), (122, 124, 126), (92, 74, 58), (64, 78, 70), (150, 150, 148)),
    Surface.VEGETATION: ((78, 104, 58), (60, 86, 60), (110, 118, 66), (122, 98, 58), (92, 112, 88)),
    Surface.SKY: ((150, 182, 216), (196, 204, 212), (168, 174, 182), (206, 192, 176)),
    Surface.LAWN: ((96, 120, 66), (116, 120, 76), (128, 112, 82), (84, 104, 68)),
    Surface.PERSON: ((60, 62, 74), (124, 60, 56), (72, 90, 124), (150, 142, 132), (66, 84, 66)),
    Surface.CAR: (
        (52, 54, 58),
        (128, 130, 134),
        (190, 192, 194),
        (126, 46, 42),
        (56, 78, 118),
        (98, 110, 96),
        (150, 130, 100),
    ),
    Surface.UNLABELED: ((90, 92, 88), (62, 84, 66), (140, 96, 64), (164, 160, 150), (66, 76, 104)),
}


class Foliage(NamedTuple):
    """What the crowns of a scene's plants look like.

    Attributes:
        grain: (S, S) periodic noise; see `Canvas.scatter`.
        twigs: whether branches stand out of them.
    """

    grain: np.ndarray
    twigs: bool


def pick_color(rng: np.random.Generator, surface: Surface, difficulty: float) -> Color:
    """Draw a colour for one thing, (3,) RGB; with `difficulty` it drifts towards any other."""
    choices = _COLORS[surface]
    color = np.array(choices[rng.integers(len(choices))], dtype=np.float64)
    everything = list(_COLORS.values())
    strangers = everything[rng.integers(len(everything))]
    stranger = np.array(strangers[rng.integers(len(strangers))], dtype=np.float64)
    share = 0.6 * difficulty * rng.random()
    color = (1 - share) * color + share * stranger
    return color * (1 + rng.normal(0, 0.04 + 0.1 * difficulty)) + rng.normal(0, 3, 3)


def wall(x: float, z: tuple[float, float], y: tuple[float, float]) -> np.ndarray:
    """Corners (4, 3) of an upright rectangle that runs along the street."""
    return np.array([[x, y[0], z[0]], [x, y[0], z[1]], [x, y[1], z[1]], [x, y[1], z[0]]])


def board(x: tuple[float, float], y: tuple[float, float], z: float) -> np.ndarray:
    """Corners (4, 3) of an upright rectangle that faces the camera."""
    return np.array([[x[0], y[0], z], [x[1], y[0], z], [x[1], y[1], z], [x[0], y[1], z]])


def patch(x: tuple[float, float], z: tuple[float, float], y: float = 0.0) -> np.ndarray:
    """Corners (4, 3) of a rectangle that lies flat."""
    return np.array([[x[0], y, z[0]], [x[1], y, z[0]], [x[1], y, z[1]], [x[0], y, z[1]]])


def disc(center: tuple[float, float, float], radii: tuple[float, float], axes: str) -> np.ndarray:
    """Corners (12, 3) of an ellipse in the plane of two `axes`, such as 'xy' or 'zy'."""
    angle = np.arange(12) * (np.pi / 6)
    points = np.tile(np.array(center, dtype=np.float64), (12, 1))
    points[:, "xyz".index(axes[0])] += radii[0] * np.cos(angle)
    points[:, "xyz".index(axes[1])] += radii[1] * np.sin(angle)
    return points


def repeat(polygon: np.ndarray, axes: str, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Repeat a polygon (V, 3) on a grid, moved by `first` and `second` along two `axes`."""
    copies = np.tile(polygon, (len(first), len(second), 1, 1)).astype(np.float64)
    copies[..., "xyz".index(axes[0])] += first[:, None, None]
    copies[..., "xyz".index(axes[1])] += second[None, :, None]
    return copies.reshape(-1, *polygon.shape)


def draw_ground(
    canvas: Canvas,
    edges: tuple[float, float, float, float],
    colors: tuple[Color, Color, Color],
    outer: Surface,
) -> None:
    """Draw the ground to the horizon.

    Args:
        canvas: what to draw on.
        edges: from left to right: outer edge of the sidewalk, kerb, kerb, outer edge; in metres.
        colors: of the outer ground, the sidewalks and the road.
        outer: what lies beyond the sidewalks.
    """
    left, kerb_left, kerb_right, right = edges
    layers = (
        ((-900.0, 900.0), colors[0], outer),
        ((left, right), colors[1], Surface.SIDEWALK),
        ((kerb_left - 0.25, kerb_right + 0.25), colors[1] * 1.2, Surface.SIDEWALK),
        ((kerb_left, kerb_right), colors[2], Surface.ROAD),
    )
    # In strips, for the haze and the street's bend; layer by layer, so that the seams between the
    # strips of one layer are not torn open by the layer below.
    depths = np.geomspace(NEAR, 400.0, 12)
    for x, color, surface in layers:
        for near, far in zip(depths[-2::-1], depths[:0:-1], strict=True):
            canvas.fill(patch(x, (near, far)), color, surface, (near + far) / 2)


def draw_markings(
    canvas: Canvas, rng: np.random.Generator, kerbs: tuple[float, float], asphalt: Color
) -> None:
    """Draw lane marks, a crossing at times, mended asphalt and cracks: all of them road."""
    left, right = kerbs
    for _ in range(rng.integers(1, 5)):
        x, z = rng.uniform(left, right - 1.0), rng.uniform(4, 30)
        mended = patch((x, min(x + rng.uniform(0.6, 2.5), right)), (z, z + rng.uniform(1, 8)))
        canvas.fill(mended, asphalt * rng.uniform(0.75, 1.2), Surface.ROAD, z)
    for _ in range(rng.integers(0, 4)):
        steps = rng.normal(0, 0.25, 12).cumsum()
        x = np.clip(rng.uniform(left, right) + steps, left, right)
        z = rng.uniform(4, 12) + np.arange(12) * rng.uniform(0.2, 0.8)
        crack = np.stack([x, np.zeros(12), z], axis=-1)
        canvas.stroke(crack, 0.03, asphalt * 0.65, Surface.ROAD, float(z[6]))
    white = np.full(3, rng.uniform(150, 225))
    pitch, dash = rng.uniform(5, 9), rng.uniform(1.5, 4)
    middle, phase = (left + right) / 2, rng.uniform(0, 6)
    starts = np.arange(phase + NEAR, 90.0, pitch)
    dashes = repeat(patch((-0.07, 0.07), (0, dash)), "xz", np.array([middle]), starts)
    canvas.fill(dashes, white, Surface.ROAD, 20.0)
    if rng.random() < 0.5:
        for x in (left + 0.35, right - 0.35):
            canvas.fill(patch((x - 0.05, x + 0.05), (NEAR, 90)), white, Surface.ROAD, 20.0)
    crossing, z = rng.random() < 0.4, rng.uniform(9, 25)
    if crossing:
        across = np.arange(left + 0.3, right - 0.5, 1.0)
        bars = repeat(patch((0, 0.5), (z, z + 3)), "xz", across, np.zeros(1))
        canvas.fill(bars, white, Surface.ROAD, z)


def draw_building(
    canvas: Canvas,
    rng: np.random.Generator,
    x: float,
    z: tuple[float, float],
    height: float,
    difficulty: float,
) -> None:
    """Draw a house whose front stands along the street at `x`, from `z[0]` to `z[1]`.

    The roof is flat, or slopes to a ridge along the street, or turns its gable to it.
    """
    side = 1.0 if x > 0 else -1.0
    back = x + side * rng.uniform(7, 14)
    color = pick_color(rng, Surface.BUILDING, difficulty)
    tiles = pick_color(rng, Surface.BUILDING, difficulty) * np.array([0.85, 0.72, 0.7])
    front_light, end_light = rng.uniform(0.7, 1.15, 2)
    rise, roof = rng.uniform(1.5, 5.0), rng.choice(["flat", "ridge", "gable"])
    near, far = z
    center, ridge = (near + far) / 2, (x + back) / 2
    if roof == "ridge":
        slope = [[x, height, near], [x, height, far]]
        slope += [[ridge, height + rise, far], [ridge, height + rise, near]]
        canvas.fill(np.array(slope), tiles, Surface.BUILDING, near)
    if roof == "gable":
        slope = [[x, height, near], [back, height, near]]
        slope += [[back, height + rise, center], [x, height + rise, center]]
        canvas.fill(np.array(slope), tiles, Surface.BUILDING, near)
    # The end that faces the camera, then the front; they share the corner at (x, near).
    end = [[x, 0, near], [back, 0, near], [back, height, near], [x, height, near]]
    if roof == "ridge":
        end.insert(3, [ridge, height + rise, near])
    canvas.fill(np.array(end), color * end_light, Surface.BUILDING, near)
    front = [[x, 0, near], [x, 0, far], [x, height, far], [x, height, near]]
    if roof == "gable":
        front.insert(3, [x, height + rise, center])
    canvas.fill(np.array(front), color * front_light, Surface.BUILDING, near)
    chimney, where = rng.random() < 0.5, rng.uniform(near, far)
    if chimney and roof != "flat":
        top = height + rise + 0.9
        stack = board((ridge - 0.35, ridge + 0.35), (height + rise - 1.5, top), where)
        canvas.fill(stack, tiles * 0.8, Surface.BUILDING, near)
    _draw_windows(canvas, rng, x, back, z, height, color)


def _draw_windows(
    canvas: Canvas,
    rng: np.random.Generator,
    x: float,
    back: float,
    z: tuple[float, float],
    height: float,
    color: Color,
) -> None:
    """Draw rows of windows on the front and the near end of a house, and a cornice."""
    storey, bay = rng.uniform(2.7, 3.5), rng.uniform(1.8, 3.4)
    wide, tall = bay * rng.uniform(0.35, 0.65), storey * rng.uniform(0.4, 0.65)
    glass = rng.choice([0.45, 0.6, 1.35]) * color + rng.normal(0, 10, 3)
    sills = np.arange(0.9, height - tall - 0.2, storey)
    fronts = np.arange(z[0] + 0.6, z[1] - wide - 0.2, bay)
    if len(sills) and len(fronts):
        panes = repeat(wall(x, (0, wide), (0, tall)), "zy", fronts, sills)
        canvas.fill(panes, glass, Surface.BUILDING, z[0])
    low, high = min(x, back), max(x, back)
    ends = np.arange(low + 0.8, high - wide - 0.5, bay * 1.3)
    blank = rng.random() < 0.4
    if len(sills) and len(ends) and not blank:
        panes = repeat(board((0, wide), (0, tall), z[0]), "xy", ends, sills)
        canvas.fill(panes, glass * 0.9, Surface.BUILDING, z[0])
    cornice = np.array([[x, height - 0.15, z[0]], [x, height - 0.15, z[1]]])
    canvas.stroke(cornice, 0.2, color * rng.uniform(0.6, 1.3), Surface.BUILDING, z[0] + 4)
    if rng.random() < 0.5:
        pipe = np.array([[x, 0, z[0] + 0.2], [x, height, z[0] + 0.2]])
        canvas.stroke(pipe, 0.12, color * rng.uniform(0.5, 0.8), Surface.BUILDING, z[0])


def draw_tree(
    canvas: Canvas,
    rng: np.random.Generator,
    x: float,
    z: float,
    foliage: Foliage,
    difficulty: float,
) -> None:
    """Draw a tree: trunk, branches, and a crown of two or three clouds of leaves."""
    height, spread = rng.uniform(4.5, 9.5), rng.uniform(1.3, 3.0)
    color = pick_color(rng, Surface.VEGETATION, difficulty)
    bark = np.array([74.0, 64.0, 56.0]) * rng.uniform(0.7, 1.4)
    girth, fork = rng.uniform(0.15, 0.4), height * rng.uniform(0.3, 0.5)
    density = rng.uniform(0.5, 0.95)
    trunk = np.array([[x, 0, z], [x + rng.normal(0, 0.2), fork * 1.2, z]])
    canvas.stroke(trunk, girth, bark, Surface.VEGETATION, z)
    tips = np.stack([x + rng.normal(0, spread * 0.7, 6), rng.uniform(fork, height, 6)], axis=-1)
    branches = np.stack([[[x, fork * 0.9, z], [tip[0], tip[1], z]] for tip in tips])
    if foliage.twigs:
        canvas.stroke(branches, girth * 0.4, bark, Surface.VEGETATION, z)
    for _ in range(rng.integers(2, 4)):
        center = (x + rng.normal(0, spread * 0.35), rng.uniform(fork + spread * 0.5, height), z)
        radii = (spread * rng.uniform(0.7, 1.1), spread * rng.uniform(0.6, 1.0))
        shift = tuple(rng.uniform(0, len(foliage.grain), 2))
        canvas.scatter(
            center, radii, foliage.grain, shift, color * rng.uniform(0.85, 1.15), density
        )
    lean = rng.normal(0, 2, 2)
    crown = disc((x + 2 * lean[0], 0, z + 2 * lean[1]), (spread, spread * 0.8), "xz")
    canvas.cast_shadow(crown)


def draw_bushes(
    canvas: Canvas,
    rng: np.random.Generator,
    x: float,
    z: float,
    foliage: Foliage,
    difficulty: float,
) -> None:
    """Draw a clump of low bushes."""
    color = pick_color(rng, Surface.VEGETATION, difficulty)
    for _ in range(2):
        half = rng.uniform(0.4, 0.9)
        center = (x + rng.normal(0, 0.8), half * 0.8, z)
        shift = tuple(rng.uniform(0, len(foliage.grain), 2))
        radii = (half * rng.uniform(0.9, 1.8), half)
        canvas.scatter(center, radii, foliage.grain, shift, color * rng.uniform(0.8, 1.2), 0.9)


def draw_fence(
    canvas: Canvas,
    rng: np.random.Generator,
    ends: tuple[tuple[float, float], tuple[float, float]],
    kinds: tuple[str, ...],
    difficulty: float,
) -> None:
    """Draw a fence of 'bars', 'pickets', 'rails' or 'boards' between two ground points (x, z).

    One sees through its gaps, but where they are too narrow for the picture's pixels it is closed.
    Boards have none.

    Args:
        canvas: what to draw on.
        rng: the scene's generator.
        ends: the two points, in metres.
        kinds: of which it is one, each as likely.
        difficulty: of the scene.
    """
    color = pick_color(rng, Surface.FENCE, difficulty)
    height, spacing = rng.uniform(0.9, 1.7), rng.uniform(0.8, 1.4)
    kind = kinds[rng.integers(len(kinds))]
    pitch = spacing * {"bars": 0.7, "pickets": 0.45, "rails": 1.5, "boards": 1.5}[kind]
    bar = {"bars": 0.035, "pickets": 0.4 * pitch, "rails": 0.05, "boards": 0.1}[kind]
    start, end = np.array(ends[0]), np.array(ends[1])
    length = float(np.hypot(*(end - start)))
    count = max(2, int(length / pitch) + 1)
    feet = start + (end - start) * np.linspace(0, 1, count)[:, None]
    posts = np.stack([np.insert(feet, 1, 0.0, axis=1), np.insert(feet, 1, height, axis=1)], axis=1)
    levels = np.linspace(0.2, 1.0, 4 if kind == "rails" else 2) * (height - 0.03)
    columns = canvas.camera.project(posts[:, 0])[:, 0]
    gaps = np.abs(np.diff(columns, append=2 * columns[-1] - columns[-2]))
    if kind == "boards":
        _draw_closed_part(canvas, posts, np.zeros(count), (0.0, height), color)
    elif kind != "rails":
        _draw_closed_part(canvas, posts, gaps, (0.1, height), color)
    order = np.argsort(-feet[:, 1], kind="stable")
    # A few groups of neighbouring bars share a width, so that a fence takes few calls.
    for group in np.array_split(order, min(6, count)):
        z = float(feet[group, 1].mean())
        # Seen from the side boards are narrower, and must not grow together.
        seen = 0.45 * float(gaps[group].mean()) / canvas.camera.pixels_per_meter(z)
        canvas.stroke(posts[group], min(bar, seen), color, Surface.FENCE, z)
        first, last = feet[group[0]], feet[group[-1]]
        rails = [[[first[0], y, first[1]], [last[0], y, last[1]]] for y in levels]
        canvas.stroke(np.array(rails), 0.05, color * 0.9, Surface.FENCE, z)
    # Whole rails, thin, to bridge from one group to the next.
    rails = [[[start[0], y, start[1]], [end[0], y, end[1]]] for y in levels]
    canvas.stroke(np.array(rails), 0.0, color * 0.9, Surface.FENCE, float(feet[:, 1].max()))


def _draw_closed_part(
    canvas: Canvas,
    posts: np.ndarray,
    gaps: np.ndarray,
    y: tuple[float, float],
    color: Color,
) -> None:
    """Fill the stretch of a fence whose bars, `gaps` canvas pixels apart, cannot be told apart."""
    close = np.flatnonzero(gaps[:-1] < _CLOSEST_BARS * SUPERSAMPLING)
    if not len(close):
        return
    a, b = posts[close[0], 0], posts[close[-1] + 1, 0]
    panel = [[a[0], y[0], a[2]], [b[0], y[0], b[2]], [b[0], y[1], b[2]], [a[0], y[1], a[2]]]
    canvas.fill(np.array(panel), color * 0.85, Surface.FENCE, float((a[2] + b[2]) / 2))


def draw_pole(
    canvas: Canvas,
    rng: np.random.Generator,
    x: float,
    z: float,
    kind: str,
    difficulty: float,
    sun: tuple[float, float],
    girth: float = 1.0,
) -> None:
    """Draw a pole with what it carries: 'lamp', 'wires', 'sign', 'light' or a bare 'bollard'.

    Args:
        canvas: what to draw on.
        rng: the scene's generator.
        x: where it stands across the street, in metres.
        z: its depth, in metres.
        kind: what it carries.
        difficulty: of the scene.
        sun: where the shadow of a point one metre high falls, as (x, z) in metres.
        girth: its thickness, of that of a slim one.
    """
    color = pick_color(rng, Surface.POLE, difficulty)
    plate = pick_color(rng, Surface.CAR, difficulty)
    inward = -1.0 if x > 0 else 1.0
    low, high, width = {
        "lamp": (5.5, 8.0, 0.13),
        "wires": (7.4, 7.6, 0.16),
        "sign": (2.3, 3.2, 0.09),
        "light": (3.0, 4.2, 0.11),
        "bollard": (0.9, 1.1, 0.08),
    }[kind]
    height = rng.uniform(low, high)
    width = girth * width * rng.uniform(0.85, 1.3)
    canvas.stroke(np.array([[x, 0, z], [x, height, z]]), width, color, Surface.POLE, z)
    reach, shape, size = rng.uniform(0.8, 2.0), rng.integers(3), rng.uniform(0.2, 0.34)
    if kind == "lamp":
        tip, bow = x + inward * reach, x + inward * reach / 2
        arm = [[x, height, z], [bow, height + 0.3, z], [tip, height + 0.3, z]]
        canvas.stroke(np.array(arm), 0.07, color, Surface.POLE, z)
        head = board((tip - 0.35, tip + 0.35), (height + 0.2, height + 0.4), z)
        canvas.fill(head, color * 0.9, Surface.POLE, z)
    elif kind == "wires":
        arm = np.array([[x - 0.9, height - 0.5, z], [x + 0.9, height - 0.5, z]])
        canvas.stroke(arm, 0.1, color, Surface.POLE, z)
    elif kind == "sign":
        corners = {
            0: disc((x, height, z), (size, size), "xy"),
            1: board((x - size, x + size), (height - size, height + size), z),
            2: disc((x, height, z), (size, size), "xy")[1::4],
        }[int(shape)]
        canvas.fill(corners, plate, Surface.POLE, z)
    elif kind == "light":
        box = board((x - 0.13, x + 0.13), (height - 0.4, height + 0.4), z)
        canvas.fill(box, color * 0.5, Surface.POLE, z)
        lamp = disc((x, height + rng.choice([-0.25, 0.25]), z), (0.09, 0.09), "xy")
        canvas.fill(lamp, np.array([220.0, 90.0, 60.0]), Surface.POLE, z)
    foot, tip = (x, z), (x + height * sun[0], z + height * sun[1])
    canvas.cast_shadow(
        np.array([[foot[0] - 0.06, 0, foot[1]], [foot[0] + 0.06, 0, foot[1]],
                  [tip[0] + 0.06, 0, tip[1]], [tip[0] - 0.06, 0, tip[1]]])
    )  # fmt: skip


def draw_wire(canvas: Canvas, start: np.ndarray, end: np.ndarray, sag: float, color: Color) -> None:
    """Draw a hanging wire between two points (3,) in metres, `sag` metres deep in its middle."""
    t = np.linspace(0, 1, 17)[:, None]
    line = start + (end - start) * t
    line[:, 1] -= 4 * sag * (t * (1 - t))[:, 0]
    line = line[line[:, 2] >= NEAR]
    if len(line) > 1:
        canvas.stroke(line, 0.03, color, Surface.POLE, float(line[:, 2].mean()))


def draw_car(
    canvas: Canvas, rng: np.random.Generator, x: float, z: float, difficulty: float
) -> None:
    """Draw a car whose near end is at depth `z`: the end and the flank that the camera sees."""
    color = pick_color(rng, Surface.CAR, difficulty)
    half, length = rng.uniform(0.82, 0.98), rng.uniform(3.6, 4.8)
    roof, belt = 1.35 + 0.6 * rng.random() ** 2, rng.uniform(0.8, 1.0)
    slope_near, slope_far = rng.uniform(0.2, 1.1), rng.uniform(0.5, 1.2)
    facing = rng.random() < 0.5
    glass = np.array([54.0, 60.0, 68.0]) * rng.uniform(0.8, 1.5)
    # The side towards the camera; the cabin leans inwards, up to the roof.
    near_side = -1.0 if x > 0 else 1.0
    inset = half * 0.82
    flank, eave = x + near_side * half, x + near_side * inset
    canvas.cast_shadow(patch((x - half - 0.2, x + half + 0.2), (z - 0.5, z + length + 0.3)))
    under = patch((x - half, x + half), (z, z + length))
    canvas.fill(under, np.array([40.0, 40.0, 42.0]), Surface.ROAD, z)

    def add(points: list[list[float]], paint: Color) -> None:
        canvas.fill(np.array(points), paint, Surface.CAR, z)

    a, b, c, d = z, z + slope_near, z + length - 1.0 - slope_far, z + length - 1.0
    end = z + length
    add([[flank, 0.25, a], [flank, 0.25, end], [flank, belt * 0.85, end], [flank, belt, d],
         [eave, roof, c], [eave, roof, b], [flank, belt, a]], color * 0.8)  # fmt: skip
    add([[flank, belt, a + 0.2], [flank, belt, d - 0.1], [eave, roof - 0.1, c],
         [eave, roof - 0.1, b + 0.1]], glass)  # fmt: skip
    for axle in (a + 0.75, end - 0.75):
        wheel = disc((flank, 0.3, axle), (0.32, 0.3), "zy")
        canvas.fill(wheel, np.full(3, 34.0), Surface.CAR, z)
    add([[x - half, belt, a], [x + half, belt, a], [x + inset, roof, b],
         [x - inset, roof, b]], color)  # fmt: skip
    add([[x - inset, belt, a], [x + inset, belt, a], [x + inset * 0.9, roof - 0.12, b],
         [x - inset * 0.9, roof - 0.12, b]], glass)  # fmt: skip
    for tyre in (x - half, x + half - 0.22):
        canvas.fill(board((tyre, tyre + 0.22), (0.0, 0.4), z), np.full(3, 30.0), Surface.CAR, z)
    canvas.fill(board((x - half, x + half), (0.25, belt), z), color, Surface.CAR, z)
    lamps = np.array([230.0, 225.0, 200.0]) if facing else np.array([170.0, 40.0, 36.0])
    for lamp in (x - half + 0.05, x + half - 0.35):
        canvas.fill(board((lamp, lamp + 0.3), (belt - 0.3, belt - 0.12), z), lamps, Surface.CAR, z)
    number = board((x - 0.26, x + 0.26), (0.42, 0.54), z)
    canvas.fill(number, np.full(3, 205.0), Surface.CAR, z)


def draw_person(
    canvas: Canvas, rng: np.random.Generator, x: float, z: float, difficulty: float
) -> None:
    """Draw somebody walking or standing: legs, trunk, arms and head."""
    height = rng.uniform(1.5, 1.9)
    coat = pick_color(rng, Surface.PERSON, difficulty)
    trousers = pick_color(rng, Surface.PERSON, difficulty) * 0.8
    skin = np.array([196.0, 156.0, 130.0]) * rng.uniform(0.45, 1.1)
    stride, swing = rng.uniform(0.05, 0.35), rng.uniform(0.05, 0.3)
    hip, shoulder = 0.48 * height, 0.82 * height
    legs = [[[x, hip, z], [x - stride, 0, z]], [[x, hip, z], [x + stride * 0.7, 0, z]]]
    canvas.stroke(np.array(legs), 0.15, trousers, Surface.PERSON, z)
    arms = [[[x - 0.18, shoulder, z], [x - 0.22 - swing, hip, z]],
            [[x + 0.18, shoulder, z], [x + 0.22 + swing * 0.6, hip, z]]]  # fmt: skip
    canvas.stroke(np.array(arms), 0.09, coat * 0.85, Surface.PERSON, z)
    trunk = [[x - 0.15, hip - 0.1, z], [x + 0.15, hip - 0.1, z], [x + 0.22, shoulder, z],
             [x - 0.22, shoulder, z]]  # fmt: skip
    canvas.fill(np.array(trunk), coat, Surface.PERSON, z)
    head = disc((x, 0.92 * height, z), (0.1, 0.08 * height), "xy")
    canvas.fill(head, skin, Surface.PERSON, z)
    canvas.cast_shadow(disc((x + 0.3, 0, z), (0.5, 0.2), "xz"))


def draw_unlabeled(
    canvas: Canvas, rng: np.random.Generator, x: float, z: float, difficulty: float
) -> None:
    """Draw a thing that no class describes: a bin, a crate or a heap."""
    color = pick_color(rng, Surface.UNLABELED, difficulty)
    half, height, depth = rng.uniform(0.25, 0.8), rng.uniform(0.5, 1.5), rng.uniform(0.4, 1.2)
    if rng.random() < 0.3:
        heap = disc((x, 0, z), (half * 1.5, height * 0.7), "xy")
        heap[:, 1] = np.maximum(heap[:, 1], 0) * rng.uniform(0.7, 1.2, len(heap))
        canvas.fill(heap, color, Surface.UNLABELED, z)
        return
    flank = x - half if x > 0 else x + half
    canvas.fill(wall(flank, (z, z + depth), (0, height)), color * 0.7, Surface.UNLABELED, z)
    canvas.fill(board((x - half, x + half), (0, height), z), color, Surface.UNLABELED, z)
    lid = board((x - half, x + half), (height - 0.12, height), z)
    canvas.fill(lid, color * 1.3, Surface.UNLABELED, z)
