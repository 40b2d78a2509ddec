"""The inferencer: what it takes, what it gives, and that the tools and mmsegmentation give it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from mmseg.apis import MMSegInferencer, inference_model, init_model
from PIL import Image

from mmseg_pointrend.apis import PointRendInferencer
from mmseg_pointrend.apis.prediction import predict, predict_many
from mmseg_pointrend.inference.network import NetworkSettings
from tests.apis.random_weights import save_weights
from tests.instance.tiny_coco import write_config as write_detector
from tests.tools.commands import forget_runs

NAME = "pointrend_r18-small_1xb4-1k_demo-scenes-128x256"
BASELINE = "fpn_r18-small_1xb4-1k_demo-scenes-128x256"
SIZES = {"b": (61, 83), "a": (48, 64), "c": (61, 83), "d": (50, 31), "e": (48, 64)}
STEPS = {
    "test_dataloader.dataset.pipeline": [
        dict(type="LoadImageFromFile"),
        dict(type="Resize", scale=(96, 96), keep_ratio=True),
        dict(type="RandomFlip", prob=1.0),
        dict(type="Pad", size_divisor=64),
        dict(type="PackSegInputs"),
    ]
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of several sizes, and random weights of the demonstration's two models."""
    root = tmp_path_factory.mktemp("inferencer")
    rng = np.random.default_rng(0)
    (root / "pictures").mkdir()
    for name, (height, width) in SIZES.items():
        noise = rng.integers(0, 256, (7, 9, 3)).astype(np.uint8)
        Image.fromarray(noise).resize((width, height)).save(root / f"pictures/{name}.png")
    for name in (NAME, BASELINE):
        (root / name).mkdir()
        save_weights(name, {}, root / name)
    return root


@pytest.fixture(scope="module")
def inferencer(folder: Path) -> PointRendInferencer:
    return PointRendInferencer(NAME, folder / NAME / "weights.pth", "cpu")


def test_a_picture_in_every_form(inferencer: PointRendInferencer, folder: Path) -> None:
    path = folder / "pictures/b.png"
    expected = predict(NAME, folder / NAME / "weights.pth", path, folder / "out.png", device="cpu")
    assert expected.shape == (61, 83) and len(np.unique(expected)) > 1
    image = Image.open(path)
    pixels = np.asarray(image)
    tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    for picture in (path, str(path), image, pixels, tensor):
        found = inferencer(picture)
        assert found.labels.dtype == np.uint8 and np.array_equal(found.labels, expected)
        assert found.confidence is found.logits is found.steps is None
    for stack in (np.stack([pixels, pixels[::-1]]), torch.stack([tensor, tensor.flip(1)])):
        first, second = inferencer(stack)
        assert np.array_equal(first.labels, expected)
        assert np.array_equal(second.labels, inferencer(pixels[::-1]).labels)


def test_mmsegmentation_gives_the_same(inferencer: PointRendInferencer, folder: Path) -> None:
    """Its functions take a shipped config as it is; its arrays are BGR, as OpenCV's."""
    config, weights = inferencer.config.filename, str(folder / NAME / "weights.pth")
    path = folder / "pictures/a.png"
    expected = inferencer(path).labels
    model = init_model(config, weights, device="cpu")
    for image in (str(path), np.asarray(Image.open(path))[..., ::-1]):
        found = inference_model(model, image).pred_sem_seg.data[0].numpy()
        assert np.array_equal(found, expected)
    forget_runs()
    theirs = MMSegInferencer(config, weights, device="cpu")
    assert np.array_equal(theirs(str(path))["predictions"], expected)


def test_a_folder_in_batches(inferencer: PointRendInferencer, folder: Path) -> None:
    """Sizes are mixed; results come in the order of the paths, and are what the tool writes."""
    batches: list[int] = []
    hook = inferencer.model.register_forward_pre_hook(
        lambda _, args, kwargs: batches.append(len(kwargs["inputs"])), with_kwargs=True
    )
    found = inferencer(folder / "pictures", batch_size=2)
    hook.remove()
    assert sorted(batches) == [1, 2, 2]
    out = folder / "written"
    predict_many(
        NAME, folder / NAME / "weights.pth", [folder / "pictures"], out, device="cpu",
        batch_size=2, confidence=True,
    )  # fmt: skip
    sure = inferencer(folder / "pictures", batch_size=2, confidence=True)
    for name, maps, more in zip(sorted(SIZES), found, sure, strict=True):
        assert maps.labels.shape == SIZES[name]
        assert np.array_equal(np.array(Image.open(out / f"labels/{name}.png")), more.labels)
        written = np.array(Image.open(out / f"confidence/{name}.png"))
        assert np.array_equal(written, more.confidence)
        assert (maps.labels == more.labels).mean() > 0.999


def test_a_stream_reads_when_it_is_asked(inferencer: PointRendInferencer, folder: Path) -> None:
    asked: list[str] = []

    def frames():
        for name in SIZES:
            asked.append(name)
            yield folder / f"pictures/{name}.png"

    stream = inferencer.stream(frames())
    assert asked == []
    assert next(stream).labels.shape == SIZES["b"] and asked == ["b"]
    rest = list(stream)
    assert [one.labels.shape for one in rest] == list(SIZES.values())[1:]
    assert inferencer([]) == []


@pytest.mark.parametrize("options", [{}, STEPS], ids=["plain", "resized, flipped, padded"])
def test_logits_and_steps(options: dict, folder: Path) -> None:
    weights = folder / NAME / "weights.pth"
    inferencer = PointRendInferencer(NAME, weights, "cpu", options=options)
    path = folder / "pictures/b.png"
    plain = inferencer(path).labels
    found = inferencer(path, confidence=True, logits=True, steps=True)
    assert found.logits.shape == (9, 61, 83) and found.logits.dtype == np.float32
    assert (found.labels == plain).mean() > 0.999
    assert np.array_equal(found.logits.argmax(0), found.labels)
    shares = np.exp(found.logits - found.logits.max(0))
    probability = shares.max(0) / shares.sum(0)
    assert np.abs(found.confidence / 255 - probability).max() < 0.6 / 255

    head, head_stride = inferencer.model.decode_head, 8
    coarse, *steps = found.steps
    assert len(steps) == head.subdivision.steps and len(coarse.points) == 0
    assert np.array_equal(steps[-1].labels, found.labels)
    assert not np.array_equal(coarse.labels, found.labels)
    # A step changes pixels near its points, and nowhere else.
    before = coarse.labels
    for number, step in enumerate(steps, 1):
        changed = np.argwhere(step.labels != before)[:, ::-1] + 0.5
        distance = np.abs(changed[:, None] - step.points[None]).max(2).min(1)
        assert distance.max() < 2 + head_stride / 2**number
        before = step.labels
    assert (np.abs(centers_of(61, 83)[:, None] - step.points).max(2).min(1) > 9).any()


def centers_of(height: int, width: int) -> np.ndarray:
    """(H W, 2) pixel centres."""
    return np.argwhere(np.ones((height, width)))[:, ::-1] + 0.5


def test_threads_share_one(inferencer: PointRendInferencer, folder: Path) -> None:
    paths = [folder / f"pictures/{name}.png" for name in SIZES] * 4
    expected = [inferencer(path, confidence=True) for path in paths[: len(SIZES)]] * 4
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda path: inferencer(path, confidence=True), paths))
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one.labels, other.labels)
        assert np.array_equal(one.confidence, other.confidence)


def test_windows_and_a_folded_network(folder: Path) -> None:
    weights, path = folder / NAME / "weights.pth", folder / "pictures/b.png"
    settings = dict(window=(48, 64), stride=(32, 40), network=NetworkSettings(fold=True))
    inferencer = PointRendInferencer(NAME, weights, "cpu", **settings)
    out = folder / "windows.png"
    expected = predict(NAME, weights, path, out, device="cpu", **settings)
    assert np.array_equal(inferencer(path).labels, expected)
    assert inferencer(np.asarray(Image.open(path)), confidence=True).confidence.shape == (61, 83)
    with pytest.raises(ValueError, match="batch_size must be 1 with windows"):
        inferencer(path, batch_size=2)
    with pytest.raises(ValueError, match="logits are of whole pictures, and windows hold"):
        inferencer(path, logits=True)


def test_a_model_without_pointrend(folder: Path) -> None:
    inferencer = PointRendInferencer(BASELINE, folder / BASELINE / "weights.pth", "cpu")
    path = folder / "pictures/b.png"
    assert len(inferencer.classes) == len(inferencer.palette) == 9
    assert np.array_equal(inferencer(path, logits=True).labels, inferencer(path).labels)
    with pytest.raises(ValueError, match="steps are those of a PointRend .* got EncoderDecoder"):
        inferencer(path, steps=True)


def test_objects(folder: Path, tmp_path: Path) -> None:
    from mmdet.registry import MODELS

    from mmseg_pointrend.apis.configs import prepare_config

    config = write_detector(tmp_path)
    torch.manual_seed(0)
    model = MODELS.build(prepare_config(config).model)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / "weights.pth")
    inferencer = PointRendInferencer(config, tmp_path / "weights.pth", "cpu", score=0.0)
    assert inferencer.classes == ["disc", "box"] and len(inferencer.palette) == 2
    path = folder / "pictures/b.png"
    found, again = inferencer([path, np.asarray(Image.open(path))], batch_size=2)
    assert found.size == (61, 83) and len(found.masks) == len(found.labels) > 0
    assert np.array_equal(found.boxes, again.boxes) and found.masks == again.masks
    with pytest.raises(ValueError, match="confidence, steps: for label maps; objects come without"):
        inferencer(path, confidence=True, steps=True)
    with pytest.raises(ValueError, match="window is for label maps"):
        PointRendInferencer(config, tmp_path / "weights.pth", "cpu", window=(9, 9))


def test_mistakes(inferencer: PointRendInferencer, folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match="image nowhere.png does not exist"):
        inferencer("nowhere.png")
    with pytest.raises(TypeError, match="pictures must be paths, folders, arrays"):
        inferencer(3)
    with pytest.raises(ValueError, match="batch_size must be 1 or more, got 0"):
        inferencer(folder / "pictures", batch_size=0)
    (folder / "damaged").mkdir()
    (folder / "damaged/a.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="damaged/a.png is damaged"):
        inferencer(folder / "damaged")
    with pytest.raises(FileNotFoundError, match="did you mean pointrend_r50_4xb2-80k"):
        PointRendInferencer("pointrend_r50_4xb2-80k_cityscapes", "weights.pth")
