"""A page and an image for each picture, by tools/visualize.py."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_pointrend.lab.scenes import write_scenes
from tests.apis.random_weights import save_weights
from tests.pages.test_step_page import data_of, image_of

NAME = "pointrend_r18-small_1xb4-1k_demo-scenes-128x256"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights, scenes with their truth, and pictures of two folders with one name."""
    root = tmp_path_factory.mktemp("visualization")
    save_weights(NAME, {}, root)
    write_scenes(root / "scenes", 1, 2, size=(64, 96))
    noise = np.random.default_rng(0).integers(0, 256, (61, 83, 3)).astype(np.uint8)
    for place in ("a", "b"):
        (root / place).mkdir()
        Image.fromarray(noise).save(root / place / "x.png")
    truth = np.arange(61 * 83).reshape(61, 83) % 9
    Image.fromarray(truth.astype(np.uint8)).save(root / "truth.png")
    return root


def test_pictures_of_folders(folder: Path, call_tool) -> None:
    said = call_tool("visualize.py", NAME, folder / "weights.pth", folder / "a", folder / "b",
                     "--out", "out", "--device", "cpu")  # fmt: skip
    found = sorted(path.as_posix() for path in Path("out").rglob("*.*"))
    assert found == [f"out/{place}/x.{ending}" for place in "ab" for ending in ("html", "png")]
    assert "Written: out/a/x.html and x.png" in said
    data = data_of(Path("out/a/x.html").read_text("utf-8"))
    assert (data["width"], data["height"], data["truth"]) == (83, 61, None)
    assert len(data["steps"]) == 4 and data["classes"][0] == "road"
    pixels = np.asarray(Image.open(folder / "a/x.png"))
    shown = image_of(data["picture"])
    assert np.abs(shown.astype(int).mean((0, 1)) - pixels.mean((0, 1))).max() < 3


def test_with_a_truth(folder: Path, call_tool) -> None:
    call_tool("visualize.py", NAME, folder / "weights.pth", folder / "a/x.png", "--truth",
              folder / "truth.png", "--out", "out")  # fmt: skip
    data = data_of(Path("out/x.html").read_text("utf-8"))
    assert np.array_equal(
        image_of(data["truth"])[..., 0], np.asarray(Image.open(folder / "truth.png"))
    )
    labels = image_of(data["steps"][-1]["maps"])[..., 0]
    right = (labels == np.asarray(Image.open(folder / "truth.png"))).mean()
    assert data["steps"][-1]["right"] == pytest.approx(right, abs=1e-6)


def test_pictures_of_the_test_data(folder: Path, call_tool) -> None:
    call_tool("visualize.py", NAME, folder / "weights.pth", "--test-data", 1, "--out", "out",
              "--cfg-options", f"test_dataloader.dataset.data_root={folder}/scenes")  # fmt: skip
    (page,) = Path("out").rglob("*.html")
    assert page.name == "demoville_000001_000000_leftImg8bit.html"
    data = data_of(page.read_text("utf-8"))
    (label,) = (folder / "scenes/gtFine/val").rglob("*_000001_*labelTrainIds.png")
    expected = np.asarray(Image.open(label))
    truth = image_of(data["truth"])
    assert np.array_equal(truth[..., 1] == 255, expected != 255)
    assert np.array_equal(truth[..., 0][expected != 255], expected[expected != 255])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give pictures, or numbers of pictures of the test data"),
        (["{}/a/x.png", "--test-data", "0"], "give pictures, or numbers"),
        (["{}/a/x.png", "--truth", "no.png", "no.png"], "one for each of 1 pictures, got 2"),
        (["{}/a/x.png", "--truth", "no.png"], "truth no.png does not exist"),
        (["{}/a/x.png", "--truth", "{}/a/x.png"], "must hold class indices, (H, W), got colours"),
        (["{}/a", "--truth", "{}/truth.png"], "with truths a picture is a file, and"),
        (["{}/none.png"], "does not exist"),
        (["--test-data", "2"], "the test data have 2 pictures, from 0 to 1; got 2"),
    ],
)
def test_mistakes_take_one_line(
    folder: Path, call_tool, arguments: list[str], message: str
) -> None:
    filled = [argument.format(folder) for argument in arguments]
    said = call_tool.fail("visualize.py", NAME, folder / "weights.pth", *filled, "--out", "out",
                           "--cfg-options",
                           f"test_dataloader.dataset.data_root={folder}/scenes")  # fmt: skip
    assert message in said
    assert not Path("out").exists()
