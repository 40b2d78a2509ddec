"""The metric in one test run of a model with PointRend, beside mmdet's own metric."""

from pathlib import Path

import pytest
import torch

import mmseg_pointrend.instance  # noqa: F401 - mmdet imports where no ops are compiled
from tests.instance.heads import randomize
from tests.instance.tiny_coco import (
    CLASSES,
    CONFIGS,
    MASK_RCNN,
    data_options,
    small_options,
    write_tiny_coco,
)


def test_one_run_measures_both_masks(tmp_path: Path) -> None:
    """A model of random weights whose boxes are the true ones: masks of all shapes, most wrong."""
    from mmdet.registry import MODELS
    from mmengine.evaluator import Evaluator
    from mmengine.registry import DefaultScope
    from mmengine.runner import Runner

    from mmseg_pointrend.apis.configs import load_config

    data = write_tiny_coco(tmp_path, pictures=3)
    path = CONFIGS / f"pointrend-{MASK_RCNN}.py"
    options = small_options(load_config(path).model) | data_options(data)
    options["model.roi_head.mask_head.predict_coarse"] = True
    options["test_evaluator"].append(
        dict(type="InstanceMaskMetric", ann_file=str(data / "instances.json"), prefix="ours")
    )
    config = load_config(path, options)
    with DefaultScope.overwrite_default_scope("mmdet"):
        model = randomize(MODELS.build(config.model)).eval()
        loader = Runner.build_dataloader(config.test_dataloader)
        evaluator = Evaluator(config.test_evaluator)
        evaluator.dataset_meta = dict(classes=CLASSES)
        with torch.no_grad():
            for batch in loader:
                samples = model.test_step(batch)
                assert "coarse_masks" in samples[0].pred_instances
                for one in samples:
                    truth = one.gt_instances
                    # Scores count, masks are the model's: some of them are put right.
                    found = one.pred_instances
                    for place in range(min(len(truth), len(found))):
                        mask = torch.from_numpy(truth.masks.masks[place]).bool()
                        found.masks[place] = mask
                        found.coarse_masks[place] = torch.roll(mask, 1, 0)
                        found.labels[place] = truth.labels[place]
                evaluator.process(samples, batch)
        results = evaluator.evaluate(len(loader.dataset))
    for item in ("mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m"):
        theirs, ours = results[f"coco/segm_{item}"], results[f"ours/segm_{item}"]
        assert ours == pytest.approx(theirs, abs=6e-4, nan_ok=True) or theirs == -1
    assert results["ours/bbox_mAP"] == pytest.approx(results["coco/bbox_mAP"], abs=6e-4)
    assert 0 < results["ours/segm_mAP"] <= 1
    assert results["ours/gain/segm_mAP"] > 0 and results["ours/gain/boundary_mAP"] > 0
