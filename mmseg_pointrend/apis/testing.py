"""Testing a config's checkpoint."""

from dataclasses import asdict
from pathlib import Path

from mmengine.runner import Runner

import mmseg_pointrend.models  # noqa: F401 - registers PointRendTTA
from mmseg_pointrend.apis.configs import prepare_config
from mmseg_pointrend.apis.tasks import task_of
from mmseg_pointrend.datasets.coco_files import explaining_empty_data
from mmseg_pointrend.engine.checkpoint_folder import check_checkpoint
from mmseg_pointrend.engine.type_names import type_name
from mmseg_pointrend.inference.network import AS_IT_IS, NetworkSettings


def test(
    config_path: str | Path,
    checkpoint: str | Path,
    work_dir: str | Path | None = None,
    out: str | Path | None = None,
    show_dir: str | Path | None = None,
    tta: bool = False,
    options: dict | None = None,
    launcher: str = "none",
    local_rank: int | None = None,
    allow_unset: bool = False,
    network: NetworkSettings = AS_IT_IS,
) -> dict[str, float]:
    """Measure a checkpoint on the config's test data.

    Of a PointRend model the coarse prediction is measured as well, in the same forward pass: see
    `RefinementMetric`. `options={"model.predict_coarse": False}` leaves that out.

    Args:
        config_path: config file, or the name of a config of this project.
        checkpoint: weights; also mmsegmentation's own PointRend checkpoints.
        work_dir: where the results go, as JSON; work_dirs/<config's name> by default.
        out: folder for the predicted label maps: PNG, class indices from 0; of objects
            `predictions.bbox.json` and `predictions.segm.json`, in COCO's form for results.
        show_dir: folder for painted images: JPEG, truth and prediction side by side.
        tta: average over the scales and flips of the config's `tta_pipeline`.
        options: dotted config keys and values that override the file.
        launcher: "none", "pytorch", "slurm" or "mpi".
        local_rank: number of this process on its machine, if the launcher does not set LOCAL_RANK.
        allow_unset: go on although the checkpoint leaves weights of the model at initial values.
        network: how the network runs: in half precision, compiled, with BatchNorms folded.

    Returns:
        the metrics by name.

    Raises:
        FileNotFoundError: if the config, the checkpoint or a data folder does not exist.
        ValueError: for contradicting settings, no images, or weights of another model.
    """
    config = prepare_config(config_path, work_dir, options, launcher, local_rank)
    check_checkpoint(checkpoint)
    config.load_from = str(checkpoint)
    for hook in config.custom_hooks:
        if type_name(hook) == "WeightsCheckHook":
            hook["allow_unset"] = allow_unset
    task = task_of(config)
    task.check_data(config, "test")
    task.prepare_test(config, out, show_dir, tta)
    if network.describe():
        config.custom_hooks = [*config.custom_hooks, dict(type="NetworkHook", **asdict(network))]
    with explaining_empty_data():
        return Runner.from_cfg(config).test()


# pytest collects functions of this name from modules that import it.
test.__test__ = False
