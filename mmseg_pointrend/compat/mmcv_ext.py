"""A stand-in for `mmcv._ext`, so that mmseg can be imported beside mmcv-lite.

Upstream: mmcv-lite 2.1.0 and mmsegmentation 1.2.2. mmcv-lite ships `mmcv/ops/*.py` without the
compiled extension `mmcv._ext` they load, and `mmseg.utils` (so the models and the data sets)
imports `mmcv.ops`, so almost nothing of mmseg can be imported. PointRend needs no compiled op:
point sampling is plain torch.

With `install_stand_in` an `mmcv._ext` is found. The ops that box detectors call, `nms` and
RoIAlign, work there without compiling (`compat.plain_ops`); all others raise a clear error when
they are called. It is offered after all other finders, so a compiled mmcv is used untouched, and
one that is broken (built for another torch) still fails with its own message.

Every process needs it. `import mmseg_pointrend` installs it, and a process that starts by
`fork` inherits it. A process that starts by `spawn` or `forkserver` first imports the
parent's main script again and then unpickles its work: it is in place there when the script
imports mmseg_pointrend at its top level (outside `if __name__ == '__main__'`) and before mmseg,
or when what is pickled mentions mmseg_pointrend before any class of mmseg.

It can go when mmseg no longer imports `mmcv.ops` for models that do not use it, or when mmcv-lite
stops shipping `mmcv/ops`.
"""

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

EXTENSION = "mmcv._ext"

# The ops that `compat.plain_ops` has.
_PLAIN_OPS = ("nms", "roi_align_forward", "roi_align_backward")

# mmcv.utils.collect_env() calls these two to describe the build; an answer serves better there
# than an error, and "not compiled" is the true one.
_BUILD_QUESTIONS = ("get_compiler_version", "get_compiling_cuda_version")


def install_stand_in() -> None:
    """Serve a stand-in for `mmcv._ext` whenever no real one is found.

    Imports nothing of mmcv; calling it again, or after mmcv was imported, is harmless.
    """
    if not any(isinstance(finder, _StandInFinder) for finder in sys.meta_path):
        # Appended, not inserted: the regular finders answer first.
        sys.meta_path.append(_StandInFinder())


def is_stand_in(module: types.ModuleType) -> bool:
    """Return whether `module` is the stand-in rather than a compiled `mmcv._ext`."""
    return isinstance(module, _StandInExtension)


class _StandInExtension(types.ModuleType):
    """A module that has every op by name and none in fact."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Make the op `name`, whose call raises; only called for names not made before."""
        # Ops have no leading underscore. Names that have one are Python asking about the module
        # (copy, pickle, inspect, warnings), and any answer but "no" misleads it.
        if name.startswith("_"):
            raise AttributeError(f"module {EXTENSION!r} has no attribute {name!r}")
        op = _describe_build if name in _BUILD_QUESTIONS else _make_op(name)
        # Kept, so that the same name is the same object: pickling by reference relies on it.
        setattr(self, name, op)
        return op


def _make_op(name: str) -> Callable[..., Any]:
    """Return the op `name` in plain torch where there is one, else one that raises."""
    if name not in _PLAIN_OPS:
        return _make_missing_op(name)

    def plain_op(*args: Any, **kwargs: Any) -> Any:
        from mmseg_pointrend.compat import plain_ops  # only now: it imports torch

        return getattr(plain_ops, name)(*args, **kwargs)

    plain_op.__module__ = EXTENSION
    plain_op.__name__ = plain_op.__qualname__ = name
    return plain_op


def _make_missing_op(name: str) -> Callable[..., Any]:
    """Return a function that raises the error a user of the op `name` needs to read."""

    def missing_op(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError(
            f"mmcv.ops needs the compiled op {name!r}, and the installed mmcv has no compiled ops "
            f"(mmcv-lite). Nothing in PointRend uses it; for a model that does, replace mmcv-lite "
            f"by an mmcv built for your torch: pip uninstall mmcv-lite, then pip install "
            f"mmcv==2.1.0 (or mim install mmcv==2.1.0)."
        )

    missing_op.__module__ = EXTENSION
    missing_op.__name__ = missing_op.__qualname__ = name
    return missing_op


def _describe_build() -> str:
    """Answer mmcv's questions about the compiler."""
    return "not compiled (mmcv-lite)"


class _StandInFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds and loads `mmcv._ext` and nothing else."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: types.ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """Return a spec for the stand-in; reached only when no other finder had one."""
        if fullname != EXTENSION:
            return None
        return importlib.machinery.ModuleSpec(fullname, self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """Return the empty stand-in for `spec`."""
        return _StandInExtension(spec.name, "Stand-in for the compiled ops that mmcv-lite lacks.")

    def exec_module(self, module: types.ModuleType) -> None:
        """Do nothing: the stand-in makes its ops when asked for them."""
