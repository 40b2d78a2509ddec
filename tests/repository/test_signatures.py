"""Functions that can be read: few parameters, in core and models."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "mmseg_pointrend"
SOURCES = sorted([*(ROOT / "core").rglob("*.py"), *(ROOT / "models").rglob("*.py")])
#: Constructors that configs name: their arguments are the settings.
NAMED_IN_CONFIGS = {"PointRendHead", "PointMLP", "PointRend", "PointRendTTA"}
MOST = 6


def signatures(path: Path):
    """Yield the name and the parameters, `self` aside, of every function of a file."""
    tree = ast.parse(path.read_text("utf-8"))
    owners = {
        id(item): node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for item in node.body
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            owner, given = owners.get(id(node)), node.args
            names = [arg.arg for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
            names = [name for name in names if name not in ("self", "cls")]
            yield f"{owner}.{node.name}" if owner else node.name, names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_function_takes_more_than_six_parameters(path: Path) -> None:
    exempt = {f"{name}.__init__" for name in NAMED_IN_CONFIGS}
    for name, parameters in signatures(path):
        assert len(parameters) <= MOST or name in exempt, f"{name}{tuple(parameters)}"


def test_the_check_sees_what_it_should() -> None:
    found = dict(signatures(ROOT / "core/label_rendering/rendering.py"))
    assert found["render_labels"] == [
        "coarse_logits", "predict_points", "subdivision", "warps", "threshold", "way",
    ]  # fmt: skip
    assert len(dict(signatures(ROOT / "models/pointrend_head.py"))["PointRendHead.__init__"]) > MOST


def test_what_users_call_stays_small() -> None:
    """What follows from the kind of model, `apis.tasks`, nobody calls."""
    lines = [
        line for path in (ROOT / "apis").glob("*.py") for line in path.read_text().splitlines()
    ]
    assert len(lines) <= 1500
