"""This project's configs as bases of configs that lie anywhere: `mmseg_pointrend::pointrend/...`.

Upstream: mmengine 0.10.7. `_base_ = "mmseg::..."` finds configs of the packages in a table of its
own (`MODULE2PACKAGE`), and no others. It can go when packages can enter themselves there, and when
editable installs have `.mim`.

    _base_ = "mmseg_pointrend::pointrend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py"
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
PREFIX = f"{_PACKAGE.name}::"


def shipped_folder(name: str) -> Path:
    """Find `configs` or `tools`, beside the package in a clone, in `.mim` of an installed one.

    Raises:
        FileNotFoundError: if the package came without them.
    """
    # The configs' common parts: other projects have folders of these names, too.
    for root in (_PACKAGE.parent, _PACKAGE / ".mim"):
        if (root / "configs" / "_base_").is_dir() and (root / name).is_dir():
            return root / name
    raise FileNotFoundError(f"there is no folder {name} beside or in {_PACKAGE}: install it again")


def find_own_bases() -> None:
    """Let mmengine's `Config` find bases of this project; safe to call any number of times."""
    from mmengine.config import Config

    upstream = Config._get_cfg_path
    if getattr(upstream, "finds_own", False):
        return

    def find(cfg_path: str, filename: str) -> tuple[str, str | None]:
        if not cfg_path.startswith(PREFIX):
            return upstream(cfg_path, filename)
        name = cfg_path[len(PREFIX) :]
        path = shipped_folder("configs") / name
        if not path.is_file():
            raise FileNotFoundError(f"{filename}: _base_ {cfg_path}: there is no config {name}")
        # No scope: these configs name their registries themselves.
        return str(path), None

    find.finds_own = True
    Config._get_cfg_path = staticmethod(find)
