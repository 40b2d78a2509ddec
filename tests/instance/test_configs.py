"""The configs of Mask R-CNN, with and without PointRend: names, settings, two steps of each."""

import copy
import re
from functools import cache
from pathlib import Path

import mmdet
import pytest
import torch
import yaml
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from torch import nn

from mmseg_pointrend.apis.configs import load_config, prepare_config
from tests.instance.tiny_coco import data_options, small_options, write_tiny_coco
from tests.repository.test_configs import plain

ROOT = Path(__file__).parents[2] / "configs/mask_rcnn"
MMDET = Path(mmdet.__file__).parent / ".mim/configs"
SETTINGS = (
    "mask-rcnn_r50-caffe_fpn_ms-1x_coco",
    "mask-rcnn_r50-caffe_fpn_ms-3x_coco",
    "mask-rcnn_r101-caffe_fpn_ms-3x_coco",
    "mask-rcnn_x101-32x8d_fpn_ms-3x_coco",
    "mask-rcnn_r50-caffe_fpn_ms-24k_cityscapes",
    "cascade-mask-rcnn_r50-caffe_fpn_ms-3x_coco",
)
# Small models, for the generated scenes and for real pictures.
SMALL = tuple(
    f"mask-rcnn_r18-small_1xb2-1k_{data}"
    for data in ("demo-scenes-192x384", "pedestrians", "nuclei")
)
MY_DATASET = "pointrend-mask-rcnn_r50-caffe_fpn_my-dataset"
NAMES = [*SETTINGS, *(f"pointrend-{name}" for name in SETTINGS)]
DEMOS = [*SMALL, *(f"pointrend-{name}" for name in SMALL)]


@cache
def load_once(name: str) -> Config:
    return load_config(ROOT / f"{name}.py")


def loaded(name: str) -> Config:
    """Load a config; the copy is the caller's."""
    return copy.deepcopy(load_once(name))


def theirs(name: str) -> dict:
    return plain(Config.fromfile(MMDET / name).to_dict())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_coco(tmp_path_factory.mktemp("tiny"))


def small(name: str, data: Path) -> Config:
    """A config on the tiny data, and its model in a width that costs nothing."""
    if name in DEMOS:  # small as it is
        options = {"model.roi_head.bbox_head.num_classes": 2}
        if name in SMALL:
            options["model.roi_head.mask_head.num_classes"] = 2
    else:
        options = small_options(load_once(name).model)
    options |= data_options(data)
    return prepare_config(ROOT / f"{name}.py", options=options)


def test_the_configs_are_these() -> None:
    assert {path.stem for path in ROOT.glob("*.py")} == {*NAMES, *DEMOS, MY_DATASET}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*NAMES, *DEMOS])
def test_config_trains_two_steps_and_predicts(name: str, data: Path) -> None:
    """One step with objects, one with a picture that has none; a test of both pictures."""
    config = small(name, data)
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    dataset = DATASETS.build(config.train_dataloader.dataset)
    pointrend = name.startswith("pointrend")
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    model.train()
    # The last picture is empty: beside another one, and alone.
    for chosen in ([1, 3], [3]):
        batch = model.data_preprocessor(pseudo_collate([dataset[i] for i in chosen]), True)
        loss, logs = model.parse_losses(model(**batch, mode="loss"))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert loss.isfinite() and loss > 0
        assert any("loss_point" in name for name in logs) == pointrend
    heads = model.roi_head.mask_head
    for head in heads if isinstance(heads, nn.ModuleList) else [heads]:
        assert all(weight.grad is not None for weight in head.parameters())

    model.eval()
    tests = DATASETS.build(config.test_dataloader.dataset)
    with torch.no_grad():
        results = model.test_step(pseudo_collate([tests[0], tests[3]]))
    for result in results:
        found = result.pred_instances
        assert len(found) and found.masks.shape[1:] == result.ori_shape == (64, 96)
        assert int(found.labels.max()) < 2


@pytest.mark.parametrize("name", [*SETTINGS, *SMALL])
def test_the_baseline_differs_by_the_mask_head_alone(name: str) -> None:
    ours, baseline = loaded(f"pointrend-{name}").to_dict(), loaded(name).to_dict()
    roi_head, base = ours["model"]["roi_head"], baseline["model"]["roi_head"]
    kind = "Cascade" if name.startswith("cascade") else "Standard"
    assert roi_head.pop("type") == f"PointRend{kind}RoIHead"
    assert base.pop("type") == f"{kind}RoIHead"
    for part in ("mask_roi_extractor", "mask_head"):
        del roi_head[part], base[part]
    assert plain(ours) == plain(baseline)


def test_one_pass_is_mmdets() -> None:
    """Data, model and schedule are those that mmdet's published numbers have."""
    ours = plain(loaded(SETTINGS[0]).to_dict())
    base = theirs(f"mask_rcnn/{SETTINGS[0]}.py")
    for hook in (base["default_hooks"]["checkpoint"], ours["default_hooks"]["checkpoint"]):
        del hook["type"]
    del ours["custom_imports"], ours["custom_hooks"]
    # Tests measure more than mmdet's, of the same file.
    measured, theirs_measured = ours.pop("test_evaluator"), base.pop("test_evaluator")
    assert measured["ann_file"] == theirs_measured["ann_file"]
    assert set(measured["metric"]) == {*theirs_measured["metric"], "boundary"}
    for step in base["train_pipeline"], base["train_dataloader"]["dataset"]["pipeline"]:
        step[0].pop("backend_args")
    assert ours == base


@pytest.mark.parametrize("schedule", ["1x", "3x"])
def test_with_pointrend_all_but_the_heads_is_mmdets(schedule: str) -> None:
    ours = plain(loaded(f"pointrend-mask-rcnn_r50-caffe_fpn_ms-{schedule}_coco").to_dict())
    base = theirs(f"point_rend/point-rend_r50-caffe_fpn_ms-{schedule}_coco.py")
    for part in "train_cfg", "param_scheduler", "optim_wrapper", "val_dataloader", "val_evaluator":
        assert ours[part] == base[part]
    model, base_model = ours["model"], base["model"]
    head, base_head = model.pop("roi_head"), base_model.pop("roi_head")
    assert head["bbox_head"] == base_head["bbox_head"]
    assert head["bbox_roi_extractor"] == base_head["bbox_roi_extractor"]
    train, test = base_model["train_cfg"]["rcnn"], base_model["test_cfg"]["rcnn"]
    points = head["mask_head"]["training_points"]["num_points"]
    assert points == train.pop("num_points") == 196
    assert (train.pop("oversample_ratio"), train.pop("importance_sample_ratio")) == (3, 0.75)
    assert head["mask_head"]["subdivision"] == dict(
        steps=test.pop("subdivision_steps"), num_points=test.pop("subdivision_num_points")
    )
    assert test.pop("scale_factor") == 2
    del train["mask_size"], model["train_cfg"]["rcnn"]["mask_size"]
    assert (model.pop("type"), base_model.pop("type")) == ("MaskRCNN", "PointRend")
    assert model == base_model


def test_cityscapes_is_trained_as_in_the_paper() -> None:
    """App. A: 8 pictures, 18k and 6k updates from 0.01, shorter sides from 800 to 1024."""
    config = loaded("pointrend-mask-rcnn_r50-caffe_fpn_ms-24k_cityscapes")
    assert config.optim_wrapper.optimizer.lr == 0.01
    assert config.train_cfg.max_iters == config.param_scheduler[-1].end == 24000
    assert config.param_scheduler[-1].milestones == [18000]
    assert 8 * config.train_dataloader.batch_size == config.auto_scale_lr.base_batch_size == 8
    (resize,) = (
        step for step in config.train_dataloader.dataset.dataset.pipeline if "Resize" in step.type
    )
    assert [side for _, side in resize.scales] == list(range(800, 1025, 32))
    assert config.model.backbone.init_cfg.checkpoint.endswith("resnet50_caffe")
    assert config.get("load_from") is None


@pytest.mark.parametrize("name", [name for name in NAMES if "_coco" in name])
def test_the_name_says_what_is_trained(name: str) -> None:
    config = loaded(name)
    backbone = config.model.backbone
    depth = re.search(r"_[rx](\d+)-", name)[1]
    assert backbone.depth == int(depth) and depth in backbone.init_cfg.checkpoint
    assert backbone.type == ("ResNeXt" if "_x101" in name else "ResNet")
    assert (
        config.train_cfg.max_epochs
        == config.param_scheduler[-1].end
        == (12 if "-1x_" in name else 36)
    )
    assert all(milestone < config.train_cfg.max_epochs
               for milestone in config.param_scheduler[-1].milestones)  # fmt: skip


def test_ones_own_data_take_a_dozen_lines() -> None:
    source = (ROOT / f"{MY_DATASET}.py").read_text("utf-8")
    assert len([line for line in source.splitlines() if line and line[0] != "#"]) <= 13
    config = loaded(MY_DATASET)
    for split in ("train", "val", "test"):
        dataset = config[f"{split}_dataloader"].dataset
        assert dataset.metainfo.classes == ("scratch", "dent")
        assert dataset.data_root == "data/my_dataset/"
    assert config.test_evaluator.ann_file == "data/my_dataset/val.json"
    assert config.model.roi_head.bbox_head.num_classes == 2


def test_the_metafile_lists_the_configs_and_says_whose_numbers_it_has() -> None:
    metafile = yaml.safe_load((ROOT / "metafile.yaml").read_text("utf-8"))
    models = {model["Name"]: model for model in metafile["Models"]}
    assert models.keys() == set(NAMES)
    listed = yaml.safe_load((MMDET / "point_rend/metafile.yml").read_text("utf-8"))["Models"]
    published = {
        f"pointrend-mask-rcnn_r50-caffe_fpn_ms-{schedule}_coco": next(
            model for model in listed if f"_{schedule}_" in model["Name"]
        )
        for schedule in ("1x", "3x")
    }
    for name, model in models.items():
        assert model["Config"] == f"configs/mask_rcnn/{name}.py"
        assert ("cityscapes" in name) == (model["Metadata"]["Training Data"] == "Cityscapes")
        assert model["Metadata"]["Batch Size"] == loaded(name).auto_scale_lr.base_batch_size
        theirs = published.get(name, {})
        assert model.get("Weights") == theirs.get("Weights")
        assert model.get("Results") == theirs.get("Results")
        assert ("Results From" in model["Metadata"]) == bool(theirs)
