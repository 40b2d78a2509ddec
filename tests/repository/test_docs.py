"""What the documentation names exists: links, files, Python names, weights, and its own configs."""

import ast
import importlib
import inspect
import re
from functools import reduce
from pathlib import Path

import mmseg
import pytest
import yaml
from mmengine.config import Config, ConfigDict

from mmseg_pointrend.apis import PointRendInferencer, list_configs

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "configs").rglob("README.md"),
    ]
)
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
METAFILE = ROOT / "configs/pointrend/metafile.yaml"
THEIR_METAFILE = Path(mmseg.__file__).parent / ".mim/configs/point_rend/metafile.yaml"
# mmsegmentation's PointRend page: memory (GB), fps, mIoU, mIoU (ms+flip).
PUBLISHED = {
    "pointrend_r50_4xb2-80k_cityscapes-512x1024": ("3.1", "8.48", "76.47", "78.13"),
    "pointrend_r101_4xb2-80k_cityscapes-512x1024": ("4.2", "7.00", "78.30", "79.97"),
    "pointrend_r50_4xb4-160k_ade20k-512x512": ("5.1", "17.31", "37.64", "39.17"),
    "pointrend_r101_4xb4-160k_ade20k-512x512": ("6.1", "15.50", "40.02", "41.60"),
}

# Data in a config's name -> what the metafile calls it.
DATA = {
    "cityscapes": "Cityscapes",
    "ade20k": "ADE20K",
    "chase-db1": "CHASE DB1",
    "camvid": "CamVid",
    "horses": "Weizmann horses",
}

LINK = re.compile(r"\]\(([^)\s]+)\)")
# A path of this repository in running text or in a command, not inside a longer path or an address.
MENTIONED = re.compile(r"(?<![\w/.-])(?:configs|docs|requirements|tests|tools)/[\w./-]*[\w/]")
DOTTED = re.compile(r"(?<![\w/.-])mmseg_pointrend(?:\.[A-Za-z_]\w*)+")
CODE = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    plain = (re.sub(r"[^\w\s-]", "", heading.lower()) for heading in HEADING.findall(read(page)))
    return {heading.strip().replace(" ", "-") for heading in plain}


def relative_links(page: Path) -> list[str]:
    return [link for link in LINK.findall(read(page)) if "://" not in link]


def mentioned_paths(page: Path) -> set[str]:
    """Return the paths a page mentions; a file called my_* is the reader's own."""
    found = set(MENTIONED.findall(read(page)))
    return {path for path in found if not Path(path).name.startswith("my_")}


def code_blocks(page: Path) -> list[str]:
    return CODE.findall(read(page))


def config_blocks() -> list[tuple[str, str]]:
    return [
        (name, block)
        for name, page in zip(NAMES, PAGES, strict=True)
        for block in code_blocks(page)
        if "_base_ = " in block
    ]


def test_there_is_something_to_check() -> None:
    assert {
        "README.md", "CONTRIBUTING.md", "configs/pointrend/README.md", "configs/sem_fpn/README.md",
        "docs/get_started.md", "docs/how_it_works.md", "docs/custom_dataset.md",
        "docs/custom_model.md",
    } <= set(NAMES)  # fmt: skip
    assert sum(len(relative_links(page)) for page in PAGES) > 30
    assert sum(len(mentioned_paths(page)) for page in PAGES) > 20
    assert sum(len(DOTTED.findall(read(page))) for page in PAGES) > 5
    assert sum(len(code_blocks(page)) for page in PAGES) > 5
    assert len(config_blocks()) > 3


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    for link in relative_links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} does not exist"
        assert target.is_relative_to(ROOT), f"{link} leads out of the repository"
        if anchor:
            assert anchor in anchors(target), f"{link}: {sorted(anchors(target))}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_paths_in_the_text_exist(page: Path) -> None:
    for path in mentioned_paths(page):
        assert (ROOT / path).exists(), f"{path} does not exist"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_python_names_in_the_text_exist(page: Path) -> None:
    for name in set(DOTTED.findall(read(page))):
        assert resolve(name) is not None


def resolve(name: str) -> object:
    """Import the longest part of a dotted name that is a module, and look the rest up in it."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        module_name = ".".join(parts[:count])
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            # Missing is this name, not something that the module imports.
            assert module_name.startswith(error.name)
            continue
        return reduce(getattr, parts[count:], module)
    raise AssertionError(f"{name} does not exist")


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_code_is_python(page: Path) -> None:
    for block in code_blocks(page):
        ast.parse(block)


@pytest.mark.parametrize(
    ("name", "block"), config_blocks(), ids=[name for name, _ in config_blocks()]
)
def test_configs_in_the_text_load(name: str, block: str, tmp_path: Path) -> None:
    """They say in which folder they are to be saved, where their relative `_base_` paths start."""
    found = re.match(r"# Save it (?:anywhere|in (configs/(?:pointrend|mask_rcnn))/)\n", block)
    assert found, (
        "the block must begin with: # Save it in configs/pointrend/, or: # Save it anywhere"
    )
    folder = ROOT / found[1] if found[1] else tmp_path
    block = re.sub(r'"(\.\.?/[^"]+\.py)"', lambda match: f'"{folder / match[1]}"', block)
    path = tmp_path / "child.py"
    path.write_text(block, encoding="utf-8")
    # A module of the reader's own is not there.
    config = Config.fromfile(path, import_custom_modules=False)
    if "mask_rcnn" in folder.parts:
        assert config.model.roi_head.mask_head.type == "PointRendMaskHead"
        return
    assert config.model.type == "PointRend"
    assert config.model.decode_head.type == "PointRendHead"


def test_the_metafile_lists_the_configs() -> None:
    """All but the demo's and the template."""
    metafile = yaml.safe_load(read(METAFILE))
    collections = {collection["Name"] for collection in metafile["Collections"]}
    listed = [model["Config"] for model in metafile["Models"]]
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "configs/pointrend").glob("*.py")
        if not any(word in path.name for word in ("demo", "calm", "my-dataset", "my_"))
    }
    assert len(expected) == 20
    assert sorted(listed) == sorted(expected)
    for model in metafile["Models"]:
        assert (ROOT / model["Config"]).is_file()
        assert model["Name"] == Path(model["Config"]).stem
        assert model["In Collection"] in collections
    for collection in metafile["Collections"]:
        assert (ROOT / collection["README"]).is_file()


def models_in_the_metafile() -> dict[str, dict]:
    return {model["Name"]: model for model in yaml.safe_load(read(METAFILE))["Models"]}


def test_results_in_the_metafile_are_mmsegmentations_and_say_so() -> None:
    theirs = {model["Name"]: model for model in yaml.safe_load(read(THEIR_METAFILE))["Models"]}
    assert theirs.keys() == PUBLISHED.keys()
    models = models_in_the_metafile()
    for name, model in models.items():
        if name not in PUBLISHED:
            assert not model.keys() & {"Results", "Weights"}, name
            continue
        memory, fps, *mious = map(float, PUBLISHED[name])
        metadata, (result,) = model["Metadata"], model["Results"]
        assert metadata["Results From"] == "mmsegmentation"
        assert (metadata["Memory (GB)"], metadata["FPS (V100)"]) == (memory, fps)
        assert list(result["Metrics"].values()) == mious
        assert result == theirs[name]["Results"]
        assert model["Weights"] == theirs[name]["Weights"]
        assert memory == theirs[name]["Metadata"]["Memory (GB)"]


def test_the_metafile_says_what_the_configs_do() -> None:
    for name, model in models_in_the_metafile().items():
        gpus, images, data_name = re.search(r"_(\d+)xb(\d+)-\d+k?_(.+)-\d+x\d+$", name).groups()
        metadata = model["Metadata"]
        assert metadata["Batch Size"] == int(gpus) * int(images), name
        assert metadata["Training Data"] == DATA[data_name], name
        for result in model.get("Results", []):
            assert result["Dataset"] == DATA[data_name], name


def table_rows(page: Path) -> list[dict[str, str]]:
    """Return the rows of a page's tables, cells by the names of their columns."""
    rows, header = [], []
    for line in read(page).splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            header = []
        elif not header:
            header = cells
        elif set(line) - set("|-"):
            rows.append(dict(zip(header, cells, strict=True)))
    return rows


def test_the_readme_states_mmsegmentations_numbers() -> None:
    models = models_in_the_metafile()
    published = {}
    for row in table_rows(METAFILE.with_name("README.md")):
        if "fps" in row:
            name = re.match(r"\[([\w-]+)\]", row["config"])[1]
            published[name] = tuple(
                row[column] for column in ("memory (GB)", "fps", "mIoU", "mIoU (ms+flip)")
            )
            assert row["weights (mmsegmentation's)"] == f"[model]({models[name]['Weights']})"
            assert row["mIoU, trained here"] == "not trained by us yet"
    assert published == PUBLISHED


@pytest.mark.parametrize("folder", ["pointrend", "sem_fpn", "deeplabv3", "mask_rcnn"])
def test_a_folders_readme_lists_its_configs(folder: str) -> None:
    """All but the demo's, and a user's own."""
    page = ROOT / "configs" / folder / "README.md"
    configs = {path.name for path in page.parent.glob("*.py") if not path.name.startswith("my_")}
    listed = {f"{Path(link).stem}.py" for link in relative_links(page) if link.endswith(".py")}
    assert len(configs) >= 2
    assert {name for name in configs if "demo" not in name} <= listed


def test_the_guides_table_says_what_the_configs_do() -> None:
    rows = [row for row in table_rows(ROOT / "docs/custom_model.md") if "coarse head" in row]
    described = set()
    for row in rows:
        for name in re.findall(r"`([\w-]+)`", row["config"]):
            paths = sorted((ROOT / "configs/pointrend").glob(f"{name}_*xb*.py"))
            described.update(paths)
            for path in paths:
                compare_with_config(row, Config.fromfile(path).model.decode_head)
    # Small models are listed beside their data.
    configs = (ROOT / "configs/pointrend").glob("*xb*.py")
    small = "demo|calm|my_|camvid|horses"
    assert described == {path for path in configs if not re.search(small, path.name)}


def compare_with_config(row: dict[str, str], head: ConfigDict) -> None:
    steps = head.subdivision.steps
    assert f"`{head.coarse_head.type}`" in row["coarse head"]
    assert (row["stride"], row["steps"]) == (str(2**steps), str(steps))
    fine = row["fine-grained map: index, channels, stride"]
    (index,), (channels,) = head.point_head.in_index, head.point_head.in_channels
    assert f": {index}, {channels}, " in fine
    training, _, prediction = row["N"].replace("`", "").partition(" / ")
    training, _, on_ade20k = training.partition(", ADE20K ")
    expected = on_ade20k if on_ade20k and head.num_classes == 150 else training
    assert str(head.training_points.num_points) == expected
    assert str(head.subdivision.num_points) == prediction.strip('"')


def test_the_readme_can_be_read_on_one_screen() -> None:
    """The picture first, five lines of Python before any table, and no line that is cut off."""
    text = read(ROOT / "README.md")
    picture, example, table = (text.index(part) for part in ("![", "```python", "\n|"))
    assert picture < example < table
    assert text[:example].count("\n") < 20
    assert len([line for line in code_blocks(ROOT / "README.md")[0].splitlines() if line]) == 5
    assert all(len(line) <= 120 for line in text.splitlines())


def test_the_readmes_predictions_are_calls_that_exist() -> None:
    calls = {}
    for node in ast.walk(ast.parse(code_blocks(ROOT / "README.md")[0])):
        if isinstance(node, ast.Call):
            calls.setdefault(node.func.id, []).append(node)
    assert {name: len(found) for name, found in calls.items()} == {
        "PointRendInferencer": 1, "predict": 1,
    }  # fmt: skip
    assert calls["PointRendInferencer"][0].args[0].value in list_configs()
    for name, function in (
        ("PointRendInferencer", PointRendInferencer.__init__),
        ("predict", PointRendInferencer.__call__),
    ):
        for call in calls[name]:
            names = {keyword.arg: None for keyword in call.keywords}
            inspect.signature(function).bind(None, *call.args, **names)


def test_the_readmes_retrofit_runs() -> None:
    (block,) = (block for block in code_blocks(ROOT / "README.md") if "HeadTraining" in block)
    names: dict = {}
    exec(block.replace("iterations=100", "iterations=2"), names)
    assert names["labels"].shape == (1, 96, 128)


def test_the_readmes_use_of_the_core_runs() -> None:
    names: dict = {}
    exec(code_blocks(ROOT / "README.md")[-1], names)
    assert names["logits"].shape == (1, 2, 128, 128)
