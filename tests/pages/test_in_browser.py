"""The page in a real browser: what it shows is what was rendered, by mouse and by keyboard."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmseg_pointrend.inference.predictor import RenderingStep
from mmseg_pointrend.pages import RenderedPicture, write_step_page
from tests.browsers import open_browser

CLASSES = ("road", "pole & <wire>", "sky")
PALETTE = ((128, 64, 128), (250, 170, 30), (70, 130, 180))
HEIGHT, WIDTH = 45, 60
RIGHT, WRONG, CHANGED, POINT = (40, 200, 90), (235, 50, 50), (255, 47, 208), (255, 233, 77)

#: From a copy, as the page's own canvas is not made to be read.
READ_CANVAS = """({ width, places }) => {
    const canvas = document.getElementById("canvas"), side = canvas.width / width;
    const copy = new OffscreenCanvas(canvas.width, canvas.height);
    copy.getContext("2d", { willReadFrequently: true }).drawImage(canvas, 0, 0);
    const { data } = copy.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const middle = (value) => Math.floor((value + 0.5) * side);
    const at = places.map(([x, y]) => 4 * (middle(y) * canvas.width + middle(x)));
    return at.map((place) => [...data.slice(place, place + 3)]);
}"""

pytestmark = pytest.mark.slow


def rendering() -> RenderedPicture:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, (HEIGHT, WIDTH)).astype(np.uint8)
    truth[:5, :5] = 255
    steps = []
    for number in range(3):
        labels = np.where(rng.random(truth.shape) < 0.3 * (number + 1), truth % 3, 0)
        labels = np.where(rng.random(truth.shape) < 0.1, rng.integers(0, 3, truth.shape), labels)
        sure = rng.integers(128, 256, truth.shape)
        steps.append(
            RenderingStep(
                labels.astype(np.uint8),
                ((labels + 1 + rng.integers(0, 2, truth.shape)) % 3).astype(np.uint8),
                np.stack([sure, 255 - sure]).astype(np.uint8),
                rng.uniform(0, HEIGHT, (20 * number, 2)).astype(np.float32),
            )
        )
    pixels = rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    return RenderedPicture("a <street>", pixels, steps, CLASSES, PALETTE, truth)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with open_browser() as found:
        yield found


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    picture = rendering()
    write_step_page(picture, folder / "known.html")
    write_step_page(replace(picture, truth=None), folder / "unknown.html")
    return {path.stem: path for path in folder.iterdir()}


class Visit:
    """An open page; it may say nothing on the console, and ask for nothing."""

    def __init__(self, browser, path: Path, width: int = 1200, scheme: str = "light") -> None:
        self.context = browser.new_context(
            viewport=dict(width=width, height=800), color_scheme=scheme, offline=True
        )
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("body[data-ready]")

    def close(self) -> None:
        self.context.close()
        assert self.said == []
        assert [url for url in self.asked[1:] if not url.startswith("data:")] == []

    def text(self, selector: str) -> str:
        return self.page.text_content(selector).strip()

    def rows(self, selector: str) -> list[list[str]]:
        return self.page.eval_on_selector_all(
            f"{selector} tr", "rows => rows.map(row => [...row.cells].map(cell => cell.innerText))"
        )

    def point_at(self, x: int, y: int) -> None:
        box = self.page.locator("#canvas").bounding_box()
        scale = box["width"] / WIDTH
        self.page.mouse.move(box["x"] + (x + 0.5) * scale, box["y"] + (y + 0.5) * scale)

    def colors(self, places: Sequence[tuple[float, float]]) -> list[tuple[int, ...]]:
        """The colours that are drawn in the middle of pixels of the picture."""
        found = self.page.evaluate(READ_CANVAS, dict(width=WIDTH, places=places))
        return list(map(tuple, found))


@pytest.fixture
def visit(browser, files: dict[str, Path]) -> Iterator[Visit]:
    found = Visit(browser, files["known"])
    yield found
    found.close()


def shown(step: RenderingStep, x: int, y: int) -> list[str]:
    """What the page says of a pixel after a step."""
    first, second = step.probabilities[:, y, x] / 255
    best, other = CLASSES[step.labels[y, x]], CLASSES[step.runner_up[y, x]]
    return [best, other, f"{round(100 * (first - second))} %"]


def test_a_pixel_says_what_was_predicted(visit: Visit) -> None:
    picture = rendering()
    for x, y in ((0, 0), (17, 30), (59, 44)):
        visit.point_at(x, y)
        known = picture.truth[y, x] != 255
        truth = CLASSES[picture.truth[y, x]] if known else "unknown"
        assert visit.text("#pixel-place") == f"x {x}, y {y}, truth: {truth}"
        rows = visit.rows("#pixel")
        assert [row[0] for row in rows] == ["coarse map", "step 1", "step 2"]
        assert [row[1:] for row in rows] == [shown(step, x, y) for step in picture.steps]


def test_colors_are_those_of_the_classes(visit: Visit) -> None:
    """Left of the wipe the coarse map, right of it the last step; then the step before."""
    picture = rendering()
    visit.page.fill("#opacity", "100")
    visit.page.uncheck("#show-points")
    places = [(x, y) for y in range(0, HEIGHT, 7) for x in range(1, WIDTH, 7)]

    def expect(left: np.ndarray, right: np.ndarray) -> None:
        expected = [PALETTE[(left if x < WIDTH / 2 else right)[y, x]] for x, y in places]
        assert visit.colors(places) == expected

    expect(picture.steps[0].labels, picture.steps[2].labels)
    visit.page.fill("#step", "1")
    expect(picture.steps[0].labels, picture.steps[1].labels)
    visit.page.select_option("#left", "before")
    visit.page.fill("#step", "2")
    expect(picture.steps[1].labels, picture.steps[2].labels)


def test_what_changed_is_right_or_wrong(visit: Visit) -> None:
    picture = rendering()
    visit.page.uncheck("#show-points")
    visit.page.uncheck("#show-classes")
    visit.page.check("#show-changes")
    visit.page.fill("#wipe", "0")
    before, after = picture.steps[1].labels, picture.steps[2].labels
    changed = [(int(x), int(y)) for y, x in np.argwhere(before != after)]
    expected = []
    for x, y in changed:
        known, truth = picture.truth[y, x] != 255, picture.truth[y, x]
        right, was_right = known and after[y, x] == truth, known and before[y, x] == truth
        expected.append(RIGHT if right else WRONG if was_right else CHANGED)
    assert visit.colors(changed) == expected
    assert set(expected) == {RIGHT, WRONG, CHANGED}


def test_points_are_drawn_where_they_are(visit: Visit) -> None:
    places = [(float(x) - 0.5, float(y) - 0.5) for x, y in rendering().steps[2].points]
    visit.page.fill("#wipe", "0")
    visit.page.uncheck("#show-classes")
    # Where two of them lie close, the border of neither is over the other.
    assert visit.colors(places) == [POINT] * len(places)
    visit.page.uncheck("#show-points")
    assert POINT not in visit.colors(places)


def test_the_table_of_steps(visit: Visit) -> None:
    rows = visit.rows("#numbers tbody")
    for number, (row, counted) in enumerate(zip(rows, rendering().numbers(), strict=True)):
        whole = [counted.points, counted.changed, counted.corrected, counted.spoiled]
        shares = [counted.right, counted.right_near, counted.mean_iou]
        assert row[0] == (f"step {number}" if number else "coarse map")
        assert row[1:5] == [f"{value:,}" for value in whole]
        assert [float(text.rstrip(" %")) for text in row[5:]] == pytest.approx(
            [100 * share for share in shares], abs=0.0051
        )
    assert visit.page.get_attribute("#numbers tbody tr:last-child", "aria-current") == "true"
    visit.page.fill("#step", "0")
    assert visit.page.get_attribute("#numbers tbody tr:first-child", "aria-current") == "true"


def test_everything_by_keyboard(visit: Visit) -> None:
    page = visit.page
    page.focus("#canvas")
    page.keyboard.press(",")
    assert page.input_value("#step") == "1"
    for key in ("[", "[", "]"):
        page.keyboard.press(key)
    assert page.input_value("#wipe") == "45"
    # The pixel in the middle, then one to the right of it and one below.
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    start = visit.text("#pixel-place").partition(", truth")[0]
    page.keyboard.press("ArrowRight")
    x, y = (int(part.split()[1]) for part in start.split(", "))
    assert visit.text("#pixel-place").startswith(f"x {x + 1}, y {y},")
    scale = visit.text("#scale")
    page.keyboard.press("+")
    assert visit.text("#scale") != scale
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("0")
    assert visit.text("#scale") == scale
    # Every control can be reached.
    reached = set()
    page.focus("#zoom-in")
    for _ in range(16):
        reached.add(page.evaluate("document.activeElement.id"))
        page.keyboard.press("Tab")
    assert {"zoom-in", "zoom-out", "fit", "pixels", "step", "wipe", "left", "opacity"} <= reached


def test_wheel_and_wipe_by_mouse(visit: Visit) -> None:
    page = visit.page
    visit.point_at(10, 20)
    page.mouse.wheel(0, -600)
    page.wait_for_timeout(50)
    # What was under the pointer stays there.
    visit.page.mouse.move(*[part + 0.01 for part in _position(visit, 10, 20)])
    assert visit.text("#pixel-place").startswith("x 10, y 20,")
    page.click("#fit")
    box = page.locator("#canvas").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, middle, steps=5)
    page.mouse.up()
    assert page.input_value("#wipe") == "25"
    page.click("#pixels")
    assert visit.text("#scale") == f"{max(1600, round(100 * box['width'] / WIDTH))} %"


def _position(visit: Visit, x: int, y: int) -> tuple[float, float]:
    box = visit.page.locator("#canvas").bounding_box()
    scale = box["width"] / WIDTH
    return box["x"] + (x + 0.5) * scale, box["y"] + (y + 0.5) * scale


def test_without_a_truth(browser, files: dict[str, Path]) -> None:
    visit = Visit(browser, files["unknown"])
    visit.point_at(3, 4)
    assert visit.text("#pixel-place") == "x 3, y 4"
    assert len(visit.rows("#numbers tbody")[0]) == 3
    assert visit.page.eval_on_selector_all("#left option", "found => found.length") == 3
    visit.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 400])
def test_it_fits_and_is_accessible(
    browser, files: dict[str, Path], width: int, scheme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    visit = Visit(browser, files["known"], width, scheme)
    assert visit.page.evaluate("document.documentElement.scrollWidth") == width
    # Everything a finger has to hit is large enough.
    small = visit.page.eval_on_selector_all(
        "button, select, fieldset label",
        "found => found.filter(one => one.getBoundingClientRect().height < 24).map(one => one.id)",
    )
    assert small == []
    found = Axe().run(visit.page)
    assert found.violations_count == 0, found.generate_report()
    visit.close()
