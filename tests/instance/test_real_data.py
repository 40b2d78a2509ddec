"""Real pictures, where a folder has them: nuclei and pedestrians in COCO's form, read and measured.

`MMSEG_POINTREND_DATA` names a folder with `nuclei` (Data Science Bowl 2018) and `pedestrians`
(Penn-Fudan), each with `train/`, `val/`, `train.json` and `val.json`. Nothing of it is copied.
"""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate

from mmseg_pointrend.apis.configs import prepare_config, shipped_config
from mmseg_pointrend.apis.tasks import task_of
from mmseg_pointrend.instance import InstanceDataset, InstanceMaskMetric

DATA = os.environ.get("MMSEG_POINTREND_DATA", "")


def best_of_28(mask: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The mask that 28x28 shares of a box give back: what no coarse mask does better than."""
    left, top, right, bottom = box.round().astype(int)
    crop = mask[top:bottom, left:right].astype(np.float32)
    shares = cv2.resize(crop, (28, 28), interpolation=cv2.INTER_AREA)
    again = cv2.resize(shares, crop.shape[::-1], interpolation=cv2.INTER_LINEAR)
    whole = np.zeros_like(mask, dtype=bool)
    whole[top:bottom, left:right] = again > 0.5
    return whole


def find_data(name: str) -> Path:
    folder = Path(DATA) / name
    if not DATA or not folder.is_dir():
        pytest.skip(f"no real pictures: MMSEG_POINTREND_DATA names no folder with {name}")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pedestrians", "nuclei"])
@pytest.mark.parametrize("model", ["mask-rcnn", "pointrend-mask-rcnn"])
def test_small_models_learn_from_real_pictures_and_predict_them(name: str, model: str) -> None:
    """A step of training and a picture of the test, as the configs have them."""
    from mmdet.registry import DATASETS, MODELS

    folder = find_data(name)
    options = {f"{split}_dataloader.dataset.data_root": str(folder) for split in ("train", "test")}
    options["test_evaluator.ann_file"] = str(folder / "val.json")
    path = shipped_config(f"mask_rcnn/{model}_r18-small_1xb2-1k_{name}.py")
    config = prepare_config(path, options=options)
    for split in ("train", "test"):
        task_of(config).check_data(config, split)
    torch.manual_seed(0)
    detector = MODELS.build(config.model)
    detector.init_weights()
    pictures = DATASETS.build(config.train_dataloader.dataset)
    batch = detector.data_preprocessor(pseudo_collate([pictures[0], pictures[1]]), True)
    loss, _ = detector.train().parse_losses(detector(**batch, mode="loss"))
    loss.backward()
    assert loss.isfinite() and loss > 0
    tested = DATASETS.build(config.test_dataloader.dataset)[0]
    with torch.no_grad():
        (result,) = detector.eval().test_step(pseudo_collate([tested]))
    assert result.pred_instances.masks.shape[1:] == result.ori_shape


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pedestrians", "nuclei"])
def test_real_annotations_are_read_and_measured(name: str) -> None:
    folder = find_data(name)
    from mmdet.datasets.transforms import LoadAnnotations

    load = LoadAnnotations(with_mask=True)
    dataset = InstanceDataset(
        ann_file="val.json", data_root=str(folder), data_prefix=dict(img="val"), test_mode=True
    )
    metric = InstanceMaskMetric(str(folder / "val.json"))
    metric.dataset_meta = dataset.metainfo
    for index in range(len(dataset)):
        record = dataset.get_data_info(index)
        assert Path(record["img_path"]).is_file()
        size = (record["height"], record["width"])
        loaded = load(dict(record, ori_shape=size))
        masks, boxes = loaded["gt_masks"].masks, loaded["gt_bboxes"].tensor.numpy()
        coarse = [best_of_28(mask, box) for mask, box in zip(masks, boxes, strict=True)]
        found = dict(
            bboxes=boxes,
            scores=np.ones(len(boxes)),
            labels=np.zeros(len(boxes), int),
            masks=torch.from_numpy(masks).bool(),
            coarse_masks=torch.from_numpy(np.stack(coarse)),
        )
        metric.process({}, [dict(img_id=record["img_id"], ori_shape=size, pred_instances=found)])
    results = metric.evaluate(len(dataset))
    assert results["coco/segm_mAP"] == results["coco/boundary_mAP"] == results["coco/bbox_mAP"] == 1
    assert results["coco/gain/boundary_mAP"] >= results["coco/gain/segm_mAP"] >= 0
