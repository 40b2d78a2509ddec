"""Which room of the project may import what.

The rules are the table in CONTRIBUTING.md. They are checked on the syntax tree, so that an import
inside a function, under `if TYPE_CHECKING` or through `importlib.import_module("...")` counts too.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "mmseg_pointrend"
HEAD_CLASS = r".*\.\w*Head"


@dataclass(frozen=True)
class Rule:
    """What a room may import; names are full, `from a import b` is the name `a.b`.

    A name is fine when it belongs to the standard library or to the room itself, or is `allowed`
    (a prefix at a dot; None allows everything) or `exact`, and no pattern in `never` matches a
    prefix of it.
    """

    allowed: tuple[str, ...] | None = None
    exact: tuple[str, ...] = ()
    never: tuple[str, ...] = ()

    def permits(self, name: str, room: str) -> bool:
        if any(re.match(rf"(?:{pattern})(?:\.|$)", name) for pattern in self.never):
            return False
        if name.partition(".")[0] in sys.stdlib_module_names or name in self.exact:
            return True
        # the package's own __init__.py is a room whose name is a prefix of all others
        own = () if room == PACKAGE else (room,)
        return self.allowed is None or _starts_with_any(name, (*self.allowed, *own))


# Rooms beside the models: they see core and their own registries, not a model.
NO_MODELS = Rule(
    never=(
        rf"{PACKAGE}\.models",
        rf"{PACKAGE}\.(?:apis|lab)",
        "tools",
        r"mmseg\.models",
        r"mmseg\.apis",
        r"mmcv\.ops",
        HEAD_CLASS,
    )
)

# Rooms that build models from configs.
BUILT_MODELS = (
    "tools",
    rf"{PACKAGE}\.models\.\w+",
    r"mmseg\.models\.(?:decode_heads|segmentors)",
    r"mmcv\.ops",
    HEAD_CLASS,
)

RULES = {
    # mmseg_pointrend/__init__.py: importing the package imports no mm* package; __main__.py is the
    # command.
    PACKAGE: Rule(
        allowed=(f"{PACKAGE}.core", f"{PACKAGE}.compat"),
        exact=(f"{PACKAGE}.apis.command_line.main",),
    ),
    f"{PACKAGE}.core": Rule(allowed=("torch",)),
    f"{PACKAGE}.retrofit": Rule(allowed=("torch", f"{PACKAGE}.core")),
    f"{PACKAGE}.models": Rule(
        allowed=(
            f"{PACKAGE}.core",
            f"{PACKAGE}.compat",
            "torch",
            "mmcv.cnn",
            "mmengine",
            "mmseg",
        ),
        never=(r"mmseg\.apis",),
    ),
    f"{PACKAGE}.evaluation": NO_MODELS,
    # What the metrics measure, without any framework.
    f"{PACKAGE}.evaluation.functional": Rule(allowed=("torch", f"{PACKAGE}.core")),
    f"{PACKAGE}.engine": NO_MODELS,
    f"{PACKAGE}.datasets": NO_MODELS,
    # It is given a model that is built; of the models' room it calls one function.
    f"{PACKAGE}.inference": Rule(
        never=(
            rf"{PACKAGE}\.models(?!\.segmentor\.logits_at_original$)",
            rf"{PACKAGE}\.(?:apis|lab|engine|evaluation)",
            "tools",
            r"mmseg\.(?:models|apis)",
            r"mmcv\.ops",
            HEAD_CLASS,
        )
    ),
    # It is given a model that is built, and asks what parts it has.
    f"{PACKAGE}.export": Rule(
        allowed=(f"{PACKAGE}.core", f"{PACKAGE}.compat", "torch", f"{PACKAGE}.__version__"),
    ),
    # What it shows was predicted by a model that is built.
    f"{PACKAGE}.pages": Rule(
        never=(
            rf"{PACKAGE}\.(?:models|apis|lab|engine|instance)",
            "tools",
            r"mmseg\.(?:models|apis)",
            r"mmcv\.ops",
            HEAD_CLASS,
        )
    ),
    # Models come from the registry; `import mmseg_pointrend.models` fills it, and is all of it.
    f"{PACKAGE}.apis": Rule(never=(*BUILT_MODELS, rf"{PACKAGE}\.lab")),
    # PointRend for mmdet's detectors: what it takes of the models is the point head and the checks.
    f"{PACKAGE}.instance": Rule(
        allowed=(
            f"{PACKAGE}.core",
            f"{PACKAGE}.compat",
            f"{PACKAGE}.models",
            f"{PACKAGE}.evaluation.functional",
            "torch",
            "numpy",
            "mmcv.cnn",
            "mmcv.image",
            "mmcv.ops.roi_align",
            "mmengine",
            "mmseg.registry",
            "mmdet",
            "prettytable",
            "pycocotools",
        ),
        never=(r"mmdet\.apis",),
    ),
    # The laboratory: whatever a user of the package calls, and no room of the package calls it.
    f"{PACKAGE}.lab": Rule(never=BUILT_MODELS),
    # No other room, and no private module of an upstream package.
    f"{PACKAGE}.compat": Rule(
        never=(
            rf"{PACKAGE}(?!\.compat\b)",
            r"(?:torch|numpy|mmcv|mmengine|mmseg|mmdet)(?:\.\w+)*\._(?!_)\w+",
            r"mmcv\.ops",
            "tools",
        )
    ),
    "tools": Rule(
        allowed=("mmengine", f"{PACKAGE}.apis", f"{PACKAGE}.lab"),
        exact=(PACKAGE, f"{PACKAGE}.__version__"),
        never=(HEAD_CLASS,),
    ),
}


def _starts_with_any(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def _list_sources() -> list[Path]:
    return [*sorted((ROOT / PACKAGE).rglob("*.py")), *sorted((ROOT / "tools").rglob("*.py"))]


def _find_room(path: Path) -> str:
    """Return the rule's name for a file, given relative to the repository."""
    rooms = [".".join(path.parts[:depth]) for depth in range(len(path.parts) - 1, 0, -1)]
    # The innermost folder that has a rule; a folder of the package needs one.
    known = next((room for room in rooms if room in RULES and room != PACKAGE), None)
    return known or ".".join(path.parts[:-1][:2])


def _list_imports(source: str, path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the full name of everything a module imports."""
    # a relative import counts from the package: the folder, for a module and for __init__.py
    package = list(path.parts[:-1])
    for node in ast.walk(ast.parse(source, str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, module if alias.name == "*" else f"{module}.{alias.name}"
        elif isinstance(node, ast.Call) and node.args:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else None
            called = node.func.id if isinstance(node.func, ast.Name) else called
            name = node.args[0]
            if called in ("import_module", "__import__") and isinstance(name, ast.Constant):
                yield node.lineno, str(name.value)


def find_violations(source: str, path: Path) -> list[str]:
    """Return one `file:line: room must not import name` for each broken rule.

    Args:
        source: the module's text.
        path: where it lies, relative to the repository; this decides which rule holds.

    Raises:
        KeyError: if the file lies in a folder that has no rule.
    """
    room = _find_room(path)
    rule = RULES[room]
    return [
        f"{path.as_posix()}:{line}: {room} must not import {name}"
        for line, name in _list_imports(source, path)
        if not rule.permits(name, room)
    ]


def test_every_folder_has_a_rule():
    rooms = {_find_room(path.relative_to(ROOT)) for path in _list_sources()}
    assert f"{PACKAGE}.core" in rooms
    assert rooms <= RULES.keys()


@pytest.mark.parametrize("room", RULES)
def test_rooms_keep_to_their_imports(room):
    paths = [path for path in _list_sources() if _find_room(path.relative_to(ROOT)) == room]
    assert paths, f"no source files found for {room}"
    violations = []
    for path in paths:
        violations += find_violations(path.read_text("utf-8"), path.relative_to(ROOT))
    assert not violations, "\n".join(violations)


CORE = "mmseg_pointrend/core/made_up.py"
RETROFIT = "mmseg_pointrend/retrofit/made_up.py"
MODELS = "mmseg_pointrend/models/made_up.py"
METRIC = "mmseg_pointrend/evaluation/made_up.py"
HOOK = "mmseg_pointrend/engine/made_up.py"
DATASET = "mmseg_pointrend/datasets/made_up.py"
INFERENCE = "mmseg_pointrend/inference/made_up.py"
APIS = "mmseg_pointrend/apis/made_up.py"
LAB = "mmseg_pointrend/lab/benchmark/made_up.py"
FUNCTIONAL = "mmseg_pointrend/evaluation/functional/made_up.py"
COMPAT = "mmseg_pointrend/compat/made_up.py"
TOOL = "tools/made_up.py"


@pytest.mark.parametrize(
    ("path", "line", "name"),
    [
        ("mmseg_pointrend/__init__.py", "import mmseg", "mmseg"),
        ("mmseg_pointrend/__init__.py", "from . import models", "mmseg_pointrend.models"),
        (CORE, "import numpy as np", "numpy"),
        (CORE, "from mmengine.model import BaseModule", "mmengine.model.BaseModule"),
        (CORE, "import torchvision", "torchvision"),
        (CORE, "from ..models import PointHead", "mmseg_pointrend.models.PointHead"),
        (CORE, "import importlib; importlib.import_module('mmcv.cnn')", "mmcv.cnn"),
        (RETROFIT, "import numpy as np", "numpy"),
        (RETROFIT, "from ..models import PointMLP", "mmseg_pointrend.models.PointMLP"),
        (MODELS, "from mmcv.ops import point_sample", "mmcv.ops.point_sample"),
        (MODELS, "from mmcv import ops", "mmcv.ops"),
        (MODELS, "import mmcv", "mmcv"),
        (MODELS, "from mmseg_pointrend import apis", "mmseg_pointrend.apis"),
        (MODELS, "from mmseg_pointrend.apis import *", "mmseg_pointrend.apis"),
        (MODELS, "from mmseg.apis import init_model", "mmseg.apis.init_model"),
        (MODELS, "import tools.train", "tools.train"),
        (METRIC, "from mmseg_pointrend.models import losses", "mmseg_pointrend.models.losses"),
        (
            HOOK,
            "from ..models.segmentor import PointRend",
            "mmseg_pointrend.models.segmentor.PointRend",
        ),
        (DATASET, "import mmseg_pointrend.models", "mmseg_pointrend.models"),
        (DATASET, "from mmseg.models import FPNHead", "mmseg.models.FPNHead"),
        (
            INFERENCE,
            "from mmseg_pointrend.models.segmentor import PointRend",
            "mmseg_pointrend.models.segmentor.PointRend",
        ),
        (INFERENCE, "import mmseg_pointrend.models", "mmseg_pointrend.models"),
        (
            INFERENCE,
            "from mmseg_pointrend.apis.configs import load_config",
            "mmseg_pointrend.apis.configs.load_config",
        ),
        (
            APIS,
            "from mmseg_pointrend.models import PointRendHead",
            "mmseg_pointrend.models.PointRendHead",
        ),
        (
            APIS,
            "from mmseg.models.decode_heads import fpn_head",
            "mmseg.models.decode_heads.fpn_head",
        ),
        (APIS, "from ..compat import FPNHead", "mmseg_pointrend.compat.FPNHead"),
        (APIS, "from mmseg_pointrend.lab import demo", "mmseg_pointrend.lab.demo"),
        (MODELS, "import mmseg_pointrend.lab.scenes", "mmseg_pointrend.lab.scenes"),
        (DATASET, "from ..lab.scenes import draw_scene", "mmseg_pointrend.lab.scenes.draw_scene"),
        (METRIC, "import mmseg_pointrend.lab", "mmseg_pointrend.lab"),
        (
            LAB,
            "from mmseg_pointrend.models.losses import masked_losses",
            "mmseg_pointrend.models.losses.masked_losses",
        ),
        (LAB, "import tools.train", "tools.train"),
        (FUNCTIONAL, "from mmengine.dist import barrier", "mmengine.dist.barrier"),
        (FUNCTIONAL, "import mmseg_pointrend.models", "mmseg_pointrend.models"),
        (COMPAT, "from mmseg_pointrend.core import select", "mmseg_pointrend.core.select"),
        (COMPAT, "from .. import models", "mmseg_pointrend.models"),
        (COMPAT, "import mmcv._ext", "mmcv._ext"),
        (COMPAT, "from torch.serialization import _load", "torch.serialization._load"),
        (TOOL, "import torch", "torch"),
        (TOOL, "from mmseg.apis import init_model", "mmseg.apis.init_model"),
        (TOOL, "import mmseg_pointrend.models", "mmseg_pointrend.models"),
        (
            TOOL,
            "from mmseg_pointrend.apis import PointRendHead",
            "mmseg_pointrend.apis.PointRendHead",
        ),
    ],
)
def test_a_violation_is_reported_with_its_line(path, line, name):
    source = f'"""Made up."""\n\n\ndef function():\n    {line}\n'
    violations = find_violations(source, Path(path))
    assert len(violations) == 1
    assert violations[0].startswith(f"{path}:5: ")
    assert violations[0].endswith(f" must not import {name}")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("mmseg_pointrend/__init__.py", "from mmseg_pointrend.compat import setup"),
        (CORE, "import torch.nn.functional as F"),
        (CORE, "from .points import sample"),
        (CORE, "from mmseg_pointrend.core import points"),
        (CORE, "from dataclasses import dataclass"),
        (RETROFIT, "from mmseg_pointrend.core.shapes import check_shape"),
        (MODELS, "from mmcv.cnn import ConvModule"),
        (MODELS, "from mmseg.models.decode_heads.decode_head import BaseDecodeHead"),
        (MODELS, "from .point_head import PointHead"),
        (METRIC, "import numpy as np"),
        (METRIC, "from mmseg.registry import METRICS"),
        (INFERENCE, "from mmseg_pointrend.models.segmentor import logits_at_original"),
        (INFERENCE, "from mmseg_pointrend.core import decide"),
        (APIS, "import mmseg_pointrend.models"),
        (APIS, "from mmseg.registry import MODELS"),
        (COMPAT, "from mmengine.runner.checkpoint import CheckpointLoader"),
        (LAB, "from mmseg_pointrend.apis.training import train"),
        (LAB, "import mmseg_pointrend.models"),
        (FUNCTIONAL, "from torch import Tensor"),
        (FUNCTIONAL, "from mmseg_pointrend.core.shapes import check_shape"),
        (COMPAT, "from .versions import check_mmcv"),
        (TOOL, "from mmseg_pointrend.lab.demo import demo"),
        (TOOL, "from mmseg_pointrend.apis import init_model"),
        (TOOL, "from mmseg_pointrend import __version__"),
        (TOOL, "import argparse"),
    ],
)
def test_what_the_table_allows_is_not_reported(path, line):
    assert find_violations(line, Path(path)) == []


def test_a_folder_without_a_rule_is_an_error():
    with pytest.raises(KeyError, match="mmseg_pointrend.utils"):
        find_violations("import os", Path("mmseg_pointrend/utils/made_up.py"))


BLOCK_MM = """
import sys

class Block:
    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] in {"mmcv", "mmengine", "mmseg", "mmdet"}:
            raise ImportError(f"blocked: {fullname}")

sys.meta_path.insert(0, Block())
"""


def _run_python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=600
    )


@pytest.mark.parametrize("room", ["core", "retrofit"])
def test_it_imports_where_only_torch_is_installed(room):
    blocked = _run_python(f"{BLOCK_MM}\nimport mmengine")
    assert "ImportError: blocked: mmengine" in blocked.stderr
    done = _run_python(f"{BLOCK_MM}\nimport mmseg_pointrend.{room} as room\nprint(room.__file__)")
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == ROOT / PACKAGE / room / "__init__.py"


def test_importing_the_package_is_light():
    done = _run_python(
        "import sys, mmseg_pointrend\n"
        "heavy = {'mmcv', 'mmengine', 'mmseg', 'mmdet', 'torch', 'numpy', 'cv2'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
