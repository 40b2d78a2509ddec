"""Files of pictures predicted on a GPU, the make-believe one: the same as on the CPU."""

from pathlib import Path

import pytest

from mmseg_pointrend.apis.prediction import predict_many
from tests.apis.test_same_labels import quick, write_config, write_weights  # noqa: F401

pytestmark = pytest.mark.usefixtures("gpu")

CASE = dict(
    loader="colour", classes="subset", style="names", wrapped=False, pipeline="both", mode="whole",
    preprocessor="padding",
)  # fmt: skip


@pytest.mark.parametrize(
    ("case", "settings"),
    [
        (CASE, dict(confidence=True, overlays=True)),
        (CASE | dict(mode="slide", classes="one_logit"), dict(batch_size=2)),
        (CASE, dict(window=(24, 32), confidence=True)),
    ],
    ids=["whole", "slide", "windows"],
)
def test_a_folder(case: dict, settings: dict, tmp_path: Path) -> None:
    path = write_config(case, tmp_path)
    weights = write_weights(path, tmp_path)
    here, there = tmp_path / "cpu", tmp_path / "gpu"
    for device, out in (("cpu", here), ("cuda:0", there)):
        report = predict_many(path, weights, [tmp_path / "images"], out, device=device, **settings)
        assert report.predicted == report.total == 1, report.describe()
    written = [file for file in here.rglob("*.*") if file.parent != here]
    assert len(written) == 1 + sum(map(bool, map(settings.get, ("confidence", "overlays"))))
    for file in written:
        assert file.read_bytes() == (there / file.relative_to(here)).read_bytes()
