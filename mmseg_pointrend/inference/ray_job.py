"""A job on a Ray cluster: the pictures of a machine that is lost are done by the others.

Ray Data deals batches of pictures out to actors, each of which has a model, and does so again
when an actor or its machine dies. All machines see the same folder of files, so a batch that is
dealt out twice is done once: what is finished is skipped. What Ray passes around are names.
"""

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np
from torch import nn

from mmseg_pointrend.inference.folder import JobFolder
from mmseg_pointrend.inference.inputs import Picture
from mmseg_pointrend.inference.job import JobSettings, Report, run_job
from mmseg_pointrend.inference.loading import Failure

#: Pictures that are dealt out at a time: few, as those of a lost actor are looked at again.
_DEAL = 16


class Work(NamedTuple):
    """What an actor needs besides pictures.

    Attributes:
        make_model: builds the model on the actor's machine.
        pipeline: configs of the steps, from loading on.
        folder: where files go, opened; on every machine the same.
        settings: how.
    """

    make_model: Callable[[], nn.Module]
    pipeline: list[dict]
    folder: JobFolder
    settings: JobSettings


def run_on_ray(work: Work, pictures: Sequence[Picture], address: str | None = None) -> Report:
    """Predict pictures on all machines of a cluster; `run_job` says the rest.

    There is an actor for each GPU, or, in a cluster without, for each CPU core.

    Args:
        work: for the actors.
        pictures: which.
        address: of the cluster; None: the one that is running, or else this machine.

    Returns:
        what became of the pictures. A picture counts as predicted when its files are there.

    Raises:
        ImportError: if Ray is not installed.
        ValueError: if there is no cluster at an address.
    """
    ray = import_ray()
    try:
        ray.init(address=address, ignore_reinit_error=True, log_to_driver=False)
    except ConnectionError as error:
        raise ValueError(f"ray: there is no cluster at {address} ({error})") from error
    report = Report(total=len(pictures))
    todo = [picture for picture in pictures if not work.folder.is_finished(picture)]
    report.finished = len(pictures) - len(todo)
    by_path = {picture.path: picture for picture in todo}
    for row in _deal_out(ray, work, todo) if todo else ():
        report.failures.append(Failure(by_path[row["path"]], row["reason"]))
    failed = {failure.picture.path for failure in report.failures}
    for picture in todo:
        if work.folder.is_finished(picture):
            report.predicted += 1
        elif picture.path not in failed:
            report.failures.append(Failure(picture, "nothing was written: predict it again"))
    return report


def import_ray() -> object:
    """Import Ray Data.

    Raises:
        ImportError: if it is not installed, with the command that installs it.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ImportError(
            f"Ray is not installed ({error}): python -m pip install 'mmseg-pointrend[ray]'"
        ) from error
    return ray


def _deal_out(ray: object, work: Work, todo: Sequence[Picture]) -> object:
    """Iterate over the failures, as rows of `path` and `reason`."""
    resources = ray.cluster_resources()
    gpus, cores = int(resources.get("GPU", 0)), int(resources.get("CPU", 1))
    rows = [dict(zip(Picture._fields, map(str, picture), strict=True)) for picture in todo]
    return (
        ray.data.from_items(rows, override_num_blocks=-(-len(rows) // _DEAL))
        .map_batches(
            _Actor,
            fn_constructor_args=(work,),
            batch_size=_DEAL,
            compute=ray.data.ActorPoolStrategy(size=max(1, gpus or cores)),
            num_gpus=1 if gpus else 0,
            num_cpus=0 if gpus else 1,
        )
        .iter_rows()
    )


class _Actor:
    """A process with a model: batches of pictures in, failures out."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._model = work.make_model()

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[str]]:
        pictures = [
            Picture(str(path), PurePosixPath(str(source)), PurePosixPath(str(name)))
            for path, source, name in zip(*(batch[key] for key in Picture._fields), strict=True)
        ]
        _, pipeline, folder, settings = self._work
        report = run_job(self._model, pipeline, pictures, folder, settings, quiet=True)
        return dict(
            path=[failure.picture.path for failure in report.failures],
            reason=[failure.reason for failure in report.failures],
        )
