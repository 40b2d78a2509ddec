"""The page on changing a part: its code as printed, each part trained for a few steps."""

import json
import os
import re
import sys
from pathlib import Path

import pytest

from mmseg_pointrend.lab.scenes import write_scenes
from tests.forks import finish, start

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/change_a_part.md").read_text("utf-8")
PARTS = {
    "The uncertainty": "margin",
    "The sampler of training points": "training_points",
    "The point head": "point_head",
    "The coarse head": "coarse_head",
}
CODE = re.compile(
    r"^```python\n(?:# Save it in configs/pointrend/\n)?# (my_\w+\.py)\n(.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
#: Trains and tests a config for each part, and writes what came out.
TRAIN = """
import json, sys
from mmseg_pointrend.apis.testing import test
from mmseg_pointrend.apis.training import train

found = {}
for part in sys.argv[1:]:
    data = {f"{s}_dataloader.dataset.data_root": "data" for s in ("train", "val", "test")}
    schedule = {"train_cfg.max_iters": 3, "train_cfg.val_interval": 9,
                "default_hooks.checkpoint.interval": 3, "train_dataloader.num_workers": 0,
                "train_dataloader.persistent_workers": False, "default_hooks.logger.interval": 1}
    runner = train(f"{part}.py", work_dir=part, options=data | schedule)
    head = runner.model.decode_head
    scalars = runner.message_hub.log_scalars
    found[part] = dict(
        types={key: type(getattr(head, key)).__name__
               for key in ("margin", "training_points", "point_head", "coarse_head")},
        losses=[float(loss) for loss in scalars["train/loss"].data[0]],
        metrics={k: float(v) for k, v in
                 test(f"{part}.py", f"{part}/iter_3.pth", f"{part}/test", options=data).items()},
    )
print("FOUND" + json.dumps(found))
"""


def train_parts(folder: Path) -> None:
    os.chdir(folder)
    sys.path.insert(0, "")  # as of `python -c`: the parts are imported from there
    sys.argv[1:] = PARTS.values()
    exec(TRAIN, {})


def section(title: str) -> str:
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)[1]


def code(text: str, file: str) -> str:
    return "".join(block for name, block in CODE.findall(text) if name == file)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> dict:
    """Train the base with each part changed; all in one process, which keeps what they register."""
    folder = tmp_path_factory.mktemp("parts")
    write_scenes(folder / "data", 4, 2, size=(128, 256))
    (folder / "my_parts.py").write_text(code(PAGE, "my_parts.py"))
    beginning = code(PAGE.partition("\n## ")[0], "my_config.py")
    beginning = beginning.replace('"./', f'"{ROOT}/configs/pointrend/')
    for title, part in PARTS.items():
        (folder / f"{part}.py").write_text(beginning + code(section(title), "my_config.py"))
    log = folder / "log"
    status = finish(start(log, train_parts, folder))
    assert status == 0, log.read_text()[-4000:]
    return json.loads(log.read_text().partition("FOUND")[2].splitlines()[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("margin", "EntropyMargin"),
        ("training_points", "WeightedPoints"),
        ("point_head", "ResidualPointHead"),
        ("coarse_head", "OneMapHead"),
    ],
)
def test_a_part_of_ones_own_is_trained_and_tested(trained: dict, part: str, name: str) -> None:
    built_in = dict(
        margin="LogitMargin", training_points="TrainingPoints", point_head="PointMLP",
        coarse_head="FPNHead",
    )  # fmt: skip
    found = trained[part]
    assert found["types"] == built_in | {part: name}
    assert len(found["losses"]) == 3 and all(0 < loss < 100 for loss in found["losses"])
    assert 0 <= found["metrics"]["mIoU"] <= 100
    assert 0 <= found["metrics"]["coarse/mIoU"] <= 100


@pytest.mark.parametrize("title", PARTS)
def test_a_part_takes_about_15_lines(title: str) -> None:
    lines = [line for line in code(section(title), "my_parts.py").splitlines() if line.strip()]
    assert len(lines) <= 20


def test_the_readme_leads_there() -> None:
    assert "(docs/change_a_part.md)" in (ROOT / "README.md").read_text("utf-8")
