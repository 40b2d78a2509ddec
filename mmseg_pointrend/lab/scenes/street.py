"""How much stands in a generated street: a busy one, full of thin things, or a calm one."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Street:
    """What a street has more or less of; the defaults are those of the busy one.

    Numbers of things are a least one and the first that is too many, as `rng.integers` takes them.

    Attributes:
        closed: chance that houses across the street end it.
        end: from where to where they may stand, in metres; nothing beyond them is drawn.
        lamps: least and largest distance between two, in metres.
        girth: thickness of poles, of that of slim ones.
        signs: number of signs and traffic lights on a pavement; difficulty adds to it.
        bollards: chance of a row of them on a pavement.
        trees: chance of a row of them on a pavement.
        gaps: least and largest chance of a gap between two houses.
        people: their number on a pavement.
        seen_at: least and largest depth at which these are, in metres.
        plants: their number in a garden.
        ragged: whether plants have leaves with holes between them, and twigs; else their outlines
            are smooth.
        fences: kinds of fence, drawn with equal chances; see `objects.draw_fence`.
        railings: whether there are fences along a kerb.
        wires: whether there are wires, and poles for them.
    """

    closed: float = 0.45
    end: tuple[float, float] = (70, 120)
    lamps: tuple[float, float] = (14, 26)
    girth: float = 1.0
    signs: tuple[int, int] = (1, 3)
    bollards: float = 0.4
    trees: float = 0.45
    gaps: tuple[float, float] = (0, 0.7)
    people: tuple[int, int] = (2, 5)
    seen_at: tuple[float, float] = (7, 45)
    plants: tuple[int, int] = (1, 5)
    ragged: bool = True
    fences: tuple[str, ...] = ("bars", "rails", "bars", "pickets", "rails", "rails")
    railings: bool = True
    wires: bool = True


#: A quarter of a busy picture's pixels lie within 2 px of a boundary, about a tenth of a calm one's
#: (192x384 and 256x512); of CamVid's pictures (360x480) it is 8.8 %.
STREETS = {
    "busy": Street(),
    "calm": Street(
        closed=1.0,
        end=(28, 45),
        lamps=(18, 32),
        girth=1.5,
        signs=(0, 2),
        bollards=0.2,
        trees=0.3,
        gaps=(0, 0.2),
        people=(2, 4),
        seen_at=(5, 16),
        plants=(1, 3),
        ragged=False,
        fences=("boards",),
        railings=False,
        wires=False,
    ),
}


def find_street(name: str) -> Street:
    """Find a street by its name.

    Args:
        name: a key of `STREETS`.

    Raises:
        ValueError: for another name.
    """
    if name not in STREETS:
        known = " or ".join(repr(known) for known in STREETS)
        raise ValueError(f"street must be {known}, got {name!r}")
    return STREETS[name]
