"""What the documentation names exists: links, files, Python names, weights, and its own configs."""

import ast
import importlib
import re
from functools import reduce
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[1]
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
    """They are to be saved in configs/pointrend/, where their relative `_base_` paths start."""
    assert block.startswith("# Save it in configs/pointrend/\n")
    folder = ROOT / "configs/pointrend"
    block = re.sub(r'"(\.\.?/[^"]+\.py)"', lambda match: f'"{folder / match[1]}"', block)
    path = tmp_path / "child.py"
    path.write_text(block, encoding="utf-8")
    config = Config.fromfile(path)
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
        if not any(word in path.name for word in ("demo", "my-dataset", "my_"))
    }
    assert len(expected) == 12
    assert sorted(listed) == sorted(expected)
    for model in metafile["Models"]:
        assert (ROOT / model["Config"]).is_file()
        assert model["Name"] == Path(model["Config"]).stem
        assert model["In Collection"] in collections
    for collection in metafile["Collections"]:
        assert (ROOT / collection["README"]).is_file()


def test_the_readme_states_the_metafiles_numbers() -> None:
    rows = {
        match[1]: line
        for line in read(METAFILE.with_name("README.md")).splitlines()
        if (match := re.match(r"\| \[(pointrend[\w-]+)\]", line))
    }
    models = yaml.safe_load(read(METAFILE))["Models"]
    assert rows.keys() >= {model["Name"] for model in models}
    published = [model for model in models if "Weights" in model]
    assert len(published) == 4
    assert not any("Results" in model for model in models if model not in published)
    for model in published:
        cells = [cell.strip() for cell in rows[model["Name"]].split("|")]
        (result,) = model["Results"]
        assert model["Metadata"]["Results From"] == "mmsegmentation"
        for number in result["Metrics"].values():
            assert f"{number:.2f}" in cells
        assert str(model["Metadata"]["Memory (GB)"]) in cells
        assert f"[model]({model['Weights']})" in cells
