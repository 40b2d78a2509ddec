"""A config's test pictures, and what a model predicts of them, one after the other."""

from pathlib import Path

import torch
from mmengine.dataset import BaseDataset, pseudo_collate
from mmseg.registry import DATASETS
from torch import Tensor, nn

import mmseg_pointrend.datasets  # noqa: F401 - fills the registry
from mmseg_pointrend.apis.configs import prepare_config
from mmseg_pointrend.apis.prediction import load_model
from mmseg_pointrend.apis.tasks import refuse_instances, task_of
from mmseg_pointrend.datasets.traced_pipeline import trace_pipelines


def load_test(
    config_path: str | Path,
    checkpoint: str | Path,
    device: str | None = None,
    options: dict | None = None,
) -> tuple[nn.Module, BaseDataset]:
    """Build a config's model, with its weights, and its test data.

    Args:
        config_path: config file; its test data have labels.
        checkpoint: weights.
        device: where the model runs; by default a GPU if torch sees one.
        options: dotted config keys and values that override the file.

    Raises:
        FileNotFoundError: if the config, the checkpoint or a data folder does not exist.
        ValueError: for weights of another model, or no images.
    """
    config = prepare_config(config_path, options=options)
    refuse_instances(config, "this tool")
    task_of(config).check_data(config, "test")
    model = load_model(config, checkpoint, device)
    dataset = DATASETS.build(config.test_dataloader.dataset)
    trace_pipelines(dataset, "test_dataloader.dataset")
    return model, dataset


@torch.no_grad()
def predict_item(model: nn.Module, item: dict) -> Tensor:
    """Predict one item of a data set.

    Args:
        model: in evaluation mode.
        item: `inputs` and `data_samples`; it stays as it is.

    Returns:
        (1, H, W) labels, on the CPU.
    """
    # Samples are filled in place.
    item = dict(item, data_samples=item["data_samples"].clone())
    (sample,) = model.test_step(pseudo_collate([item]))
    return sample.pred_sem_seg.data.cpu()


def true_labels(item: dict) -> Tensor:
    """Take an item's labels, (1, H, W).

    Raises:
        ValueError: if it has none.
    """
    sample = item["data_samples"]
    if "gt_sem_seg" not in sample:
        raise ValueError(
            f"picture {sample.metainfo.get('img_path')} has no labels: the test pipeline needs "
            "LoadAnnotations, and the data label maps"
        )
    return sample.gt_sem_seg.data
