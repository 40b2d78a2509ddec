"""What is counted over the test pictures of a config: confusions, and labels in half precision."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS
from PIL import Image

from mmseg_pointrend.apis.configs import prepare_config
from mmseg_pointrend.lab import confusion, precision
from mmseg_pointrend.lab.confusion import format_confusions
from tests.engine.kills import write_config


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> tuple[Path, Path]:
    """Config and checkpoint of a small model that separates the classes a little."""
    folder = tmp_path_factory.mktemp("labelled")
    config = write_config(folder, iterations=2)
    torch.manual_seed(0)
    model = MODELS.build(prepare_config(config).model)
    for parameter in model.decode_head.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    torch.save(dict(state_dict=model.state_dict()), folder / "weights.pth")
    return config, folder / "weights.pth"


def files_of(config: Path) -> list[Path]:
    return sorted((config.parent / "data/labels/val").glob("*.png"))


def test_confusions_are_counted(given, tmp_path: Path, call_tool, monkeypatch) -> None:
    """With a prediction that is known: class 1 in the upper half."""

    def predict(model, item, dtype=None) -> torch.Tensor:
        labels = torch.zeros_like(item["data_samples"].gt_sem_seg.data)
        labels[:, : labels.shape[1] // 2] = 1
        return labels

    monkeypatch.setattr(confusion, "predict_item", predict)
    out = tmp_path / "new/found.csv"
    said = call_tool("analysis_tools/confusion_matrix.py", *given, "--out", out)
    expected = np.zeros((2, 2), int)
    for path in files_of(given[0]):
        truth = np.array(Image.open(path))
        found = np.zeros_like(truth)
        found[: len(found) // 2] = 1
        for i in (0, 1):
            for k in (0, 1):
                expected[i, k] += ((truth == i) & (found == k)).sum()
    rows = list(csv.reader(out.open()))
    assert rows[0][1:] == ["background", "crack"]
    assert [[int(number) for number in row[1:]] for row in rows[1:]] == expected.tolist()
    share = 100 * expected[1, 1] / expected[1].sum()
    assert f"crack: {share:.2f} % found; taken for background {100 - share:.2f} %" in said


def test_confusions_in_words() -> None:
    counts = torch.tensor([[8, 2, 0], [0, 0, 0], [1, 2, 1]])
    assert format_confusions("abc", counts, most=1).splitlines() == [
        "a: 80.00 % found; taken for b 20.00 %",
        "b: not there",
        "c: 25.00 % found; taken for b 50.00 %",
    ]


def test_half_precision_is_compared_with_single(given, call_tool) -> None:
    found = {one.name: one for one in precision.compare_precisions(*given)}
    assert list(found) == list(precision.WAYS)
    pixels = sum(np.array(Image.open(path)).size for path in files_of(given[0]))
    assert all(one.pixels == pixels for one in found.values())
    different = {name: one.different for name, one in found.items()}
    assert different["float32"] == 0 and different["float32, --fold"] < pixels / 1000
    # bfloat16 holds 8 bits of a logit, float16 11.
    for way in ("--amp", "--half"):
        assert 0 < different[f"{way}, float16"] < different[f"{way}, bfloat16"] < pixels / 2
    amp = found["--amp, bfloat16"]
    said = call_tool("analysis_tools/compare_precisions.py", *given)
    assert f"{amp.different} of {pixels} (" in said and f"{amp.miou:.2f}" in said


def test_pictures_without_labels_are_named(given) -> None:
    steps = [dict(type="LoadImageFromFile"), dict(type="PackSegInputs")]
    options = {"test_dataloader.dataset.pipeline": steps}
    with pytest.raises(ValueError, match=r"val/\d.jpg has no labels: the test pipeline needs Load"):
        confusion.count_confusions(*given, options=options)
