"""Predicting image files: one, however large, or very many."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from torch import nn

from mmseg_pointrend.apis.configs import load_config, prepare_config
from mmseg_pointrend.apis.inferencer import PointRendInferencer
from mmseg_pointrend.apis.models import load_model
from mmseg_pointrend.apis.shipped import find_config
from mmseg_pointrend.apis.tasks import Files, refuse_instances, task_of
from mmseg_pointrend.core import Window
from mmseg_pointrend.inference.folder import JobFolder
from mmseg_pointrend.inference.inputs import find_pictures
from mmseg_pointrend.inference.job import JobSettings, Report, run_job
from mmseg_pointrend.inference.memory import explained, no_more_than_free
from mmseg_pointrend.inference.network import AS_IT_IS, NetworkSettings, prepare_network
from mmseg_pointrend.inference.predictor import Windows
from mmseg_pointrend.inference.ray_job import Work, import_ray, run_on_ray
from mmseg_pointrend.inference.reading import step_name, test_pipeline
from mmseg_pointrend.inference.record import (
    Record,
    checksum_of_settings,
    checksum_of_weights,
)
from mmseg_pointrend.inference.shares import (
    Share,
    launched_share,
    parse_share,
    wait_for_others,
)
from mmseg_pointrend.inference.written import check_labels_path, write_labels

__all__ = ["NetworkSettings", "load_model", "predict", "predict_many"]


def predict(
    config_path: str | Path,
    checkpoint: str | Path,
    image: str | Path,
    out: str | Path,
    window: tuple[int, int] | None = None,
    stride: tuple[int, int] | None = None,
    device: str | None = None,
    options: dict | None = None,
    allow_unset: bool = False,
    colored: bool = True,
    network: NetworkSettings = AS_IT_IS,
) -> np.ndarray:
    """Predict an image file, and write its label map as a PNG file.

    The image is read and predicted as in testing: by the config's test pipeline, whole or in the
    sliding windows of `test_cfg`. If `window` is given, the windows see the image as it was loaded,
    at its native size; the pipeline's other steps, such as resizing, are left out, and named.

    Args:
        config_path: config file, or the name of a config of this project.
        checkpoint: weights.
        image: image file.
        out: PNG file to write: the index of each pixel's class, from 0, in 8 bits (16 bits for
            more than 256 classes).
        window: (height, width) of a sliding window, pixels.
        stride: (down, right), from one window to the next, pixels; two thirds of the window by
            default.
        device: where the model runs; by default a GPU if torch sees one.
        options: dotted config keys and values that override the file.
        allow_unset: go on although the checkpoint leaves weights of the model at initial values.
        colored: put the test data's colours into a file of 8 bits, beside the indices.
        network: how the network runs: in half precision, compiled, with BatchNorms folded.

    Returns:
        (H, W), the class indices.

    Raises:
        FileNotFoundError: if the config, the checkpoint or the image does not exist.
        ValueError: for a damaged image, settings out of range, or weights of another model.
    """
    check_labels_path(out)
    refuse_instances(load_config(config_path, options), "a single label map, FILE.png,")
    inferencer = PointRendInferencer(
        config_path, checkpoint, device, window=window, stride=stride, network=network,
        options=options, allow_unset=allow_unset,
    )  # fmt: skip
    predictor = inferencer.predictor
    if predictor.windows is not None:
        _name_steps_left_out(test_pipeline(inferencer.config))
        predictor = replace(predictor, follow=_show_windows)
    with no_more_than_free(inferencer.model), explained(image, whole=predictor.windows is None):
        (maps,) = predictor([inferencer.reader.read(image)])
    write_labels(out, maps.labels, inferencer.palette if colored else None)
    return maps.labels


def predict_many(
    config_path: str | Path,
    checkpoint: str | Path,
    inputs: Sequence[str | Path],
    out: str | Path,
    window: tuple[int, int] | None = None,
    stride: tuple[int, int] | None = None,
    batch_size: int = 1,
    workers: int = 0,
    overlays: bool = False,
    confidence: bool = False,
    colored: bool = True,
    score: float | None = None,
    overwrite: bool = False,
    share: str | None = None,
    ray: str | None = None,
    device: str | None = None,
    options: dict | None = None,
    allow_unset: bool = False,
    network: NetworkSettings = AS_IT_IS,
) -> Report:
    """Predict pictures into a folder; what is finished there is not predicted again.

    What was found and what became of it is printed. Under torchrun each process takes its share,
    and waits for the others at the end.

    Args:
        config_path: config file, or the name of a config of this project.
        checkpoint: weights.
        inputs: files, folders, patterns, lists of files (`inference.inputs.find_pictures`).
        out: folder: `labels/` gets a PNG for each picture, as `predict` writes it, or of objects
            `instances/` a JSON file (`inference.instances.write_objects`), at the place that the
            picture has below the deepest folder that holds all inputs.
        window: see `predict`.
        stride: see `predict`.
        batch_size: pictures at a time; only pictures whose inputs have one size share a batch.
        workers: processes that read pictures ahead.
        overlays: write pictures painted with the classes' colours, too, to `overlays/`; of objects
            with their boxes, classes and scores.
        confidence: write 255 times the probability of each pixel's class, too, to `confidence/`.
        colored: see `predict`.
        score: of objects: those that are less sure are left out; 0.3 by default.
        overwrite: replace what another model has predicted in this folder.
        share: "K/N": every N-th picture from the K-th on, K from 0 to N - 1.
        ray: address of a Ray cluster whose machines share the work; "": the one that is running,
            or else this machine.
        device: where the model runs; by default a GPU if torch sees one, with torchrun each process
            its own.
        options: see `predict`.
        allow_unset: see `predict`.
        network: see `predict`.

    Returns:
        how many pictures were predicted, which were not and why.

    Raises:
        FileNotFoundError: if the config, the checkpoint or an input does not exist.
        ValueError: for no pictures, settings out of range, weights of another model, or a folder
            that holds something else's predictions.
        OSError: if files cannot be written.
        ImportError: for `ray`, if it is not installed.
    """
    if ray is not None:
        import_ray()  # before anything is written
    config = prepare_config(config_path, options=options)
    pipeline = test_pipeline(config)
    settings = JobSettings(Windows.choose(window, stride), batch_size, workers)
    task, files = task_of(config), Files(colored, confidence, overlays, score)
    task.check_prediction(settings, files)
    own = (Share() if share is None else parse_share(share)).inner(launched_share())
    found = find_pictures(inputs, without=JobFolder.result_folders(out))
    print(found.describe() + (f"; share {own}" if own.total > 1 else ""), flush=True)
    # On a cluster the actors predict: here the weights are only looked at.
    place = device if ray is None else "cpu"
    model = load_model(config, checkpoint, place, allow_unset)
    if settings.windows is not None:
        _name_steps_left_out(pipeline)
    folder = JobFolder(os.path.abspath(out), task.wanted(config, model, files))
    windows, network = settings.windows, network.resolve(model)
    record = Record(
        config=str(config_path),
        settings=checksum_of_settings(
            config.model, pipeline if score is None else [*pipeline, dict(score=score)]
        ),
        weights=checksum_of_weights(model),
        window=windows and windows.size,
        stride=windows and windows.stride,
        palette=colored,
        pictures=found.root,
        network=network.describe(),
    )
    prepare_network(model, network)
    folder.open(record, overwrite)
    pictures = own.of(found.pictures)
    if ray is None:
        report = run_job(model, pipeline, pictures, folder, settings)
    else:
        paths = map(_absolute_path, (find_config(config_path), checkpoint))
        build = partial(_load_anywhere, *paths, options)
        make_model = partial(build, network, device=device, allow_unset=allow_unset)
        report = run_on_ray(Work(make_model, pipeline, folder, settings), pictures, ray or None)
    print(report.describe(), flush=True)
    if not report.stopped:
        wait_for_others()
    return report


def _load_anywhere(
    config_path: str,
    checkpoint: str,
    options: dict | None,
    network: NetworkSettings,
    **settings: object,
) -> nn.Module:
    """Build a config's model in another process, perhaps on another machine."""
    model = load_model(prepare_config(config_path, options=options), checkpoint, **settings)
    prepare_network(model, network)
    return model


def _show_windows(windows: Sequence[Window]) -> Iterable[Window]:
    """Show how far a picture is, to whoever looks."""
    console = Console(stderr=True)
    return track(windows, "Predicting", console=console, disable=not console.is_terminal)


def _absolute_path(path: str | Path) -> str:
    """Write a path so that it holds in any folder; an address stays."""
    return str(path) if "://" in str(path) else os.path.abspath(path)


def _name_steps_left_out(pipeline: list[dict]) -> None:
    names = [name for name in map(step_name, pipeline[1:]) if name != "PackSegInputs"]
    if names:
        Console(stderr=True).print(
            "The windows see the image at its native size: the test pipeline's "
            f"{', '.join(names)} left out. Without a window, the pipeline is followed.",
            soft_wrap=True,
        )
