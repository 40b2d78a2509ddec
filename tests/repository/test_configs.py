"""Every config: it loads, builds, trains for a step and predicts."""

import copy
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import mmseg
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmseg_pointrend.apis.configs import load_config, prepare_config
from mmseg_pointrend.core import TrainingPoints
from tests.shallow import shallow_resnets

ROOT = Path(__file__).parents[2] / "configs"
MMSEG = Path(mmseg.__file__).parent / ".mim/configs"
# Files named my_* are a user's own; those of instance masks have tests of their own.
CONFIGS = sorted(
    path
    for path in ROOT.rglob("*.py")
    if not {"_base_", "mask_rcnn"} & {*path.parts} and not path.name.startswith("my_")
)
NAMES = [str(path.relative_to(ROOT)) for path in CONFIGS]

DEEPLABV3 = "pointrend/pointrend-deeplabv3_r103-d16_4xb4-90k_cityscapes-768x768.py"
# Data in a config's name -> mmsegmentation's class and the number of classes.
DATA = {
    "cityscapes": ("CityscapesDataset", 19),
    "ade20k": ("ADE20KDataset", 150),
    "chase-db1": ("ChaseDB1Dataset", 2),
    "calm-scenes": ("CalmScenesDataset", 9),
    "demo-scenes": ("DemoScenesDataset", 9),
    "camvid": ("BaseSegDataset", 11),
    "horses": ("BaseSegDataset", 2),
}
# mmsegmentation writes these defaults of its heads out.
HEAD_DEFAULTS = dict(
    align_corners=False,
    loss_decode=dict(type="CrossEntropyLoss", use_sigmoid=False, loss_weight=1.0),
)
# What PointRendHead hands on to its coarse head, and what one logit entails.
HANDED_ON = ("num_classes", "out_channels", "threshold", "ignore_index")
ONE_LOGIT = dict(
    threshold=0.5,
    loss_decode=dict(type="CrossEntropyLoss", use_sigmoid=True, loss_weight=1.0),
)

EXPECTED = {
    f"{folder}/{name}_{backbone}_{rest}.py"
    for folder, name in (("pointrend", "pointrend"), ("sem_fpn", "fpn"))
    for backbone in ("r50", "r101")
    for rest in ("4xb2-80k_cityscapes-512x1024", "4xb4-160k_ade20k-512x512")
} | {
    "pointrend/pointrend_r18-small_1xb4-1k_calm-scenes-128x256.py",
    "sem_fpn/fpn_r18-small_1xb4-1k_calm-scenes-128x256.py",
    "pointrend/pointrend_r18-small_1xb4-1k_demo-scenes-128x256.py",
    "sem_fpn/fpn_r18-small_1xb4-1k_demo-scenes-128x256.py",
    "pointrend/pointrend_r18-small-p2p5_1xb4-1k_demo-scenes-128x256.py",
    "sem_fpn/fpn_r18-small-p2p5_1xb4-1k_demo-scenes-128x256.py",
    "pointrend/pointrend-deeplabv3_r18-small-d16_1xb4-1k_demo-scenes-128x256.py",
    "deeplabv3/deeplabv3_r18-small-d16_1xb4-1k_demo-scenes-128x256.py",
    "deeplabv3/deeplabv3_r18-small-d8_1xb4-1k_demo-scenes-128x256.py",
    *(
        f"{name}_1xb2-500_camvid-360x480.py"
        for name in (
            "pointrend/pointrend_efficientnet-lite0",
            "pointrend/pointrend_efficientnet-lite0-p3p5",
            "pointrend/pointrend-deeplabv3_efficientnet-lite0-d16",
            "sem_fpn/fpn_efficientnet-lite0",
            "sem_fpn/fpn_efficientnet-lite0-p3p5",
            "deeplabv3/deeplabv3_efficientnet-lite0-d16",
            "deeplabv3/deeplabv3_efficientnet-lite0-d8",
        )
    ),
    *(
        f"{name}_1xb4-500_horses-256x256.py"
        for name in (
            "pointrend/pointrend_efficientnet-lite0-p3p5",
            "pointrend/pointrend_efficientnet-lite0-p3p5-two-logits",
            "pointrend/pointrend_efficientnet-lite0-p3p5-practice",
            "sem_fpn/fpn_efficientnet-lite0-p3p5",
            "sem_fpn/fpn_efficientnet-lite0-p3p5-two-logits",
        )
    ),
    "pointrend/pointrend_r50_my-dataset-512x1024.py",
    "pointrend/pointrend_r101-fsdp_4xb2-80k_cityscapes-512x1024.py",
    "pointrend/pointrend_r101-caffe_8xb4-65k_cityscapes-512x1024.py",
    "sem_fpn/fpn_r101-caffe_8xb4-65k_cityscapes-512x1024.py",
    "pointrend/pointrend_r101-p3p5_4xb2-80k_cityscapes-512x1024.py",
    "sem_fpn/fpn_r101-p3p5_4xb2-80k_cityscapes-512x1024.py",
    "pointrend/pointrend-deeplabv3_r103-d16_4xb4-90k_cityscapes-768x768.py",
    "deeplabv3/deeplabv3_r103-d16_4xb4-90k_cityscapes-768x768.py",
    "deeplabv3/deeplabv3_r103-d8_4xb4-90k_cityscapes-768x768.py",
    "pointrend/pointrend-deeplabv3plus_r50-d8_4xb2-80k_cityscapes-512x1024.py",
    "pointrend/pointrend-fcn_r50-d8_4xb2-80k_cityscapes-512x1024.py",
    "pointrend/pointrend-fcn_hr18_4xb2-80k_cityscapes-512x1024.py",
    "pointrend/pointrend-upernet_swin-t_8xb2-160k_ade20k-512x512.py",
    "pointrend/pointrend-segformer_mit-b0_8xb2-160k_ade20k-512x512.py",
    "pointrend/pointrend-fcn_unet-s5-d16_4xb4-40k_chase-db1-128x128.py",
}


# Deep and wide models, cut down to what changes no code path; for ResNets: `shallow_resnets`.
NARROW = {"model.decode_head.coarse_head.channels": 64}
LIGHT = {
    "deeplabv3plus": NARROW,
    "fcn_r50": NARROW,
    "upernet": {**NARROW, "model.backbone.depths": [2, 2, 2, 2]},
    "hr18": {
        "model.backbone.extra.stage3.num_modules": 1,
        "model.backbone.extra.stage4.num_modules": 1,
    },
    "unet": {
        "model.backbone.base_channels": 16,
        "model.decode_head.coarse_head.in_channels": 64,
        "model.decode_head.point_head.in_channels": [16],
        "model.auxiliary_head.in_channels": 32,
        # Windows that an image of the test does not fit into.
        "model.test_cfg.crop_size": (48, 64),
        "model.test_cfg.stride": (16, 32),
    },
}


@pytest.fixture(scope="module", autouse=True)
def scope() -> Iterator[None]:
    """Build in mmsegmentation's scope, as its tools do, whichever test comes first."""
    with DefaultScope.overwrite_default_scope("mmseg"):
        yield


@cache
def load_once(path: Path) -> Config:
    return load_config(path)


def loaded(name: str) -> Config:
    """Load a config; the copy is the caller's."""
    return copy.deepcopy(load_once(ROOT / name))


def plain(node: object) -> object:
    """A config as plain values: no scopes, which inherited files have, and no tuples."""
    if isinstance(node, dict):
        return {key: plain(value) for key, value in node.items() if key != "_scope_"}
    return [plain(value) for value in node] if isinstance(node, list | tuple) else node


def light(name: str) -> dict:
    """Options that make a config's model affordable; empty for most."""
    return next((options for part, options in LIGHT.items() if part in name), {})


def test_the_configs_are_these() -> None:
    assert set(NAMES) == EXPECTED
    assert len(NAMES) == 44


@pytest.mark.slow
@pytest.mark.parametrize(
    # The same model in parts is no other model.
    "path",
    [path for path in CONFIGS if "-fsdp_" not in path.name],
    ids=lambda path: path.name,
)
def test_config_trains_and_predicts(path: Path) -> None:
    options = {"model.pretrained": None, "model.data_preprocessor.size": (64, 96)}
    config = prepare_config(path, options=options | light(path.name))
    config.model.backbone.init_cfg = None
    torch.manual_seed(0)
    with shallow_resnets():
        model = MODELS.build(config.model)
    model.init_weights()
    classes, ignored = model.num_classes, config.model.data_preprocessor.seg_pad_val
    rng = np.random.default_rng(0)

    def batch() -> dict:
        images = torch.from_numpy(rng.integers(0, 256, (2, 3, 64, 96), dtype=np.uint8))
        labels = torch.from_numpy(rng.integers(0, classes, (2, 1, 64, 96)))
        labels[:, :, :5] = ignored
        meta = dict(img_shape=(64, 96), ori_shape=(70, 101))
        samples = [
            SegDataSample(gt_sem_seg=PixelData(data=label), metainfo=dict(meta)) for label in labels
        ]
        return dict(inputs=list(images), data_samples=samples)

    model.train()
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    for _ in range(2):
        data = model.data_preprocessor(batch(), training=True)
        loss, logs = model.parse_losses(model(**data, mode="loss"))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert loss.isfinite() and loss > 0
    assert all(parameter.grad is not None for parameter in model.decode_head.parameters())
    assert model.with_auxiliary_head == ("aux.loss_ce" in logs)
    pointrend = "pointrend" in path.name
    if pointrend:
        assert {"decode.coarse.loss_ce", "decode.point.loss_ce"} <= logs.keys()

    model.eval()
    with torch.no_grad():
        if pointrend:
            head, features = model.decode_head, model.extract_feat(data["inputs"])
            coarse = head.coarse_prediction(features)
            finest = head.subdivision.grid_size(coarse.shape[2:])
            assert finest == (64, 96), "the steps end at the input"
            assert features[head.point_head.in_index[0]].shape[2] >= coarse.shape[2]
        results = model.test_step(batch())
    assert len(results) == 2
    for result in results:
        predicted = result.pred_sem_seg.data
        assert predicted.shape == (1, 70, 101)
        assert 0 <= predicted.min() and predicted.max() < classes


@pytest.mark.parametrize(
    ("path", "baseline_path"),
    [
        (f"pointrend/pointrend_{name}.py", f"sem_fpn/fpn_{name}.py")
        for name in (
            "r50_4xb2-80k_cityscapes-512x1024",
            "r101_4xb2-80k_cityscapes-512x1024",
            "r101-caffe_8xb4-65k_cityscapes-512x1024",
            "r101-p3p5_4xb2-80k_cityscapes-512x1024",
            "r50_4xb4-160k_ade20k-512x512",
            "r101_4xb4-160k_ade20k-512x512",
            "r18-small_1xb4-1k_calm-scenes-128x256",
            "r18-small_1xb4-1k_demo-scenes-128x256",
            "r18-small-p2p5_1xb4-1k_demo-scenes-128x256",
            "efficientnet-lite0_1xb2-500_camvid-360x480",
            "efficientnet-lite0-p3p5_1xb2-500_camvid-360x480",
            "efficientnet-lite0-p3p5_1xb4-500_horses-256x256",
            "efficientnet-lite0-p3p5-two-logits_1xb4-500_horses-256x256",
        )
    ]
    + [
        (f"pointrend/pointrend-{name}.py", f"deeplabv3/{name}.py")
        for name in (
            "deeplabv3_r103-d16_4xb4-90k_cityscapes-768x768",
            "deeplabv3_r18-small-d16_1xb4-1k_demo-scenes-128x256",
            "deeplabv3_efficientnet-lite0-d16_1xb2-500_camvid-360x480",
        )
    ],
)
def test_the_baseline_differs_by_pointrend_alone(path: str, baseline_path: str) -> None:
    """mmsegmentation's two differ in dropout and warm-up as well."""
    ours, baseline = loaded(path).to_dict(), loaded(baseline_path).to_dict()
    head, base_head = ours["model"].pop("decode_head"), baseline["model"].pop("decode_head")
    assert (ours["model"].pop("type"), baseline["model"].pop("type")) == (
        "PointRend", "EncoderDecoder",
    )  # fmt: skip
    assert ours == baseline
    handed_on = {key: head[key] for key in HANDED_ON if head.get(key) is not None}
    if head.get("out_channels") == 1:
        handed_on |= ONE_LOGIT
    stated = {key: value for key, value in base_head.items() if value is not None}
    assert HEAD_DEFAULTS | head["coarse_head"] | handed_on == HEAD_DEFAULTS | stated


@pytest.mark.parametrize(
    "path", sorted((ROOT / "_base_/models").glob("pointrend_*.py")), ids=lambda path: path.stem
)
def test_a_base_does_not_retype_the_head_that_it_wraps(path: Path) -> None:
    source = path.read_text("utf-8")
    assert "for key, value in _base_.model.decode_head.items()" in source
    assert len(source.splitlines()) <= 31
    config = Config.fromfile(path)
    name = re.search(r'^_base_ = "(.*)"$', source, re.MULTILINE)[1]
    theirs = name.startswith("mmseg::")
    base = Config.fromfile(MMSEG / name[len("mmseg::") :] if theirs else path.parent / name)
    coarse, wrapped = config.model.decode_head.coarse_head, base.model.decode_head
    changed = {"in_channels", "in_index"} if "unet" in path.name else set()
    handed_on = {"num_classes", "loss_decode"}
    assert coarse.keys() == wrapped.keys() - handed_on
    assert {key for key in coarse if coarse[key] != wrapped[key]} == changed


def test_parts_of_a_wrapped_head_are_overridden_and_survive_a_dump(tmp_path: Path) -> None:
    name = "pointrend/pointrend_r18-small_1xb4-1k_demo-scenes-128x256.py"
    options = {
        "model.decode_head.coarse_head.channels": 16,
        "model.decode_head.coarse_head.loss_decode": dict(type="DiceLoss"),
        "model.decode_head.num_classes": 5,
    }
    config = load_config(ROOT / name, options)
    config.dump(tmp_path / "dumped.py")
    for found in (config, load_config(tmp_path / "dumped.py")):
        head = MODELS.build(found.model).decode_head
        assert head.coarse_head.channels == 16 and head.coarse_head.num_classes == 5
        assert type(head.coarse_head.loss_decode.loss).__name__ == "DiceLoss"


def test_a_config_of_the_first_version_loads() -> None:
    """As its runner dumped it, before bases took over the heads that they wrap."""
    (path,) = (Path(__file__).parent / "published").glob("*.py")
    before, now = (loaded(name).model for name in (path, f"pointrend/{path.name}"))
    assert str(MODELS.build(before)) == str(MODELS.build(now))


@pytest.mark.parametrize("name", NAMES)
def test_the_name_says_what_is_trained_on_what(name: str) -> None:
    """<model>_<backbone>_<GPUs>xb<images each>-<iterations>_<data>-<crop>."""
    config = loaded(name)
    model, dataset = config.model, config.train_dataloader.dataset
    dataset = dataset.get("dataset", dataset)  # repeated, for a small data set
    _, backbone, *schedule, data = Path(name).stem.split("_")
    if schedule:
        _, images, iterations = re.fullmatch(r"(\d+)xb(\d+)-(\d+k?)", *schedule).groups()
        assert config.train_dataloader.batch_size == int(images)
        length = int(iterations.replace("k", "000"))
        assert config.train_cfg.max_iters == config.param_scheduler[-1].end == length
    data, height, width = re.fullmatch(r"(.+)-(\d+)x(\d+)", data).groups()
    crops = [step.crop_size for step in dataset.pipeline if step.type == "RandomCrop"]
    assert crops == [model.data_preprocessor.size] == [(int(height), int(width))]
    if data != "my-dataset":
        type_, classes = DATA[data]
        assert dataset.type == type_
        assert {model[head].num_classes for head in ("decode_head", "auxiliary_head")
                if model.get(head)} == {classes}  # fmt: skip
    if depth := re.match(r"r(\d+)", backbone):
        # ResNet-103 is ResNet-101 with another stem.
        assert model.backbone.depth == {103: 101}.get(int(depth[1]), int(depth[1]))
        if "small" not in backbone:
            caffe = "caffe" in backbone
            weights = "detectron2/resnet{}_caffe" if caffe else "resnet{}_v1c"
            assert model.pretrained == f"open-mmlab://{weights.format(model.backbone.depth)}"


WARM_UP = dict(type="LinearLR", by_epoch=False, start_factor=0.1, begin=0, end=200)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        *(
            (f"_{name}", f"point_rend/pointrend_{name}")
            for backbone in ("r50", "r101")
            for name in (
                f"{backbone}_4xb2-80k_cityscapes-512x1024",
                f"{backbone}_4xb4-160k_ade20k-512x512",
            )
        ),
        *(
            (f"-{model}_4xb2-80k_cityscapes-512x1024", f"{theirs}_4xb2-80k_cityscapes-512x1024")
            for model, theirs in (
                ("deeplabv3plus_r50-d8", "deeplabv3plus/deeplabv3plus_r50-d8"),
                ("fcn_r50-d8", "fcn/fcn_r50-d8"),
                ("fcn_hr18", "hrnet/fcn_hr18"),
            )
        ),
        *(
            (f"-{model}_8xb2-160k_ade20k-512x512", f"{theirs}_8xb2-160k_ade20k-512x512")
            for model, theirs in (
                ("upernet_swin-t", "swin/swin-tiny-patch4-window7-in1k-pre_upernet"),
                ("segformer_mit-b0", "segformer/segformer_mit-b0"),
            )
        ),
        (
            "-fcn_unet-s5-d16_4xb4-40k_chase-db1-128x128",
            "unet/unet-s5-d16_fcn_4xb4-40k_chase-db1-128x128",
        ),
    ],
)
def test_all_but_the_head_is_mmsegmentations(ours: str, theirs: str) -> None:
    """Data, backbone and its weights, optimizer and schedule; a warm-up where it has none."""
    known, unet = theirs.startswith("point_rend/"), theirs.startswith("unet/")
    ours = plain(loaded(f"pointrend/pointrend{ours}.py").to_dict())
    theirs = plain(Config.fromfile(MMSEG / f"{theirs}.py").to_dict())
    model, base = ours["model"], theirs["model"]
    head, base_head = model.pop("decode_head"), base.pop("decode_head")
    coarse = head["coarse_head"] | HEAD_DEFAULTS | dict(num_classes=head["num_classes"])
    if known:
        base_head = base_head[0] | dict(dropout_ratio=0)  # written -1 there
        base = base | dict(train_cfg={}, test_cfg=dict(mode="whole"))
        base.pop("num_stages")
    if unet:
        # For one logit, and a coarse head that leaves something to render.
        auxiliary = base["auxiliary_head"]
        auxiliary |= dict(out_channels=1, threshold=0.5)
        auxiliary["loss_decode"]["use_sigmoid"] = True
        coarse |= dict(in_channels=64, in_index=4)
    assert coarse == base_head
    assert model.pop("type") != base.pop("type")
    assert model == base

    schedule, base_schedule = ours["param_scheduler"], theirs["param_scheduler"]
    if len(base_schedule) == 1:
        base_schedule = [WARM_UP, base_schedule[0] | dict(begin=200)]
    assert schedule == base_schedule
    # Keys that name no parameter of the other model do no harm.
    keys, base_keys = (
        found["optim_wrapper"].pop("paramwise_cfg", {}).get("custom_keys", {})
        for found in (ours, theirs)
    )
    assert {key: keys.get(key) for key in base_keys} == base_keys
    theirs["train_dataloader"]["num_workers"] = ours["train_dataloader"]["num_workers"]
    theirs["default_hooks"]["checkpoint"]["type"] = "SafeCheckpointHook"
    for part in ("optim_wrapper", "train_cfg", "train_dataloader", "val_dataloader",
                 "val_evaluator", "default_hooks"):  # fmt: skip
        assert ours[part] == theirs[part], part


def settings_of_parameters(name: str, **options: object) -> dict[str, tuple[float, float]]:
    """Learning rate and weight decay of every parameter, by its name."""
    config = prepare_config(ROOT / name, options={"model.pretrained": None, **options})
    with shallow_resnets():
        model = MODELS.build(config.model)
    groups = build_optim_wrapper(model, config.optim_wrapper).optimizer.param_groups
    settings = {id(group["params"][0]): (group["lr"], group["weight_decay"]) for group in groups}
    return {name: settings[id(parameter)] for name, parameter in model.named_parameters()}


def test_segformer_trains_both_heads_ten_times_as_fast() -> None:
    name = "pointrend/pointrend-segformer_mit-b0_8xb2-160k_ade20k-512x512.py"
    for parameter, (rate, decay) in settings_of_parameters(name).items():
        in_head, is_norm = parameter.startswith("decode_head."), ".norm" in parameter
        assert rate == pytest.approx(6e-4 if in_head else 6e-5), parameter
        assert decay == (0 if is_norm and not in_head else 0.01), parameter


def test_swin_is_trained_without_decay_of_norms_and_positions() -> None:
    name = "pointrend/pointrend-upernet_swin-t_8xb2-160k_ade20k-512x512.py"
    settings = settings_of_parameters(name, **light(name))
    for parameter, (rate, decay) in settings.items():
        free = "norm" in parameter or "relative_position_bias_table" in parameter
        assert (rate, decay) == pytest.approx((6e-5, 0 if free else 0.01)), parameter


@pytest.mark.parametrize(
    ("path", "classes", "points", "steps"),
    [
        ("pointrend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py", 19, 2048, 2),
        ("pointrend/pointrend_r101_4xb4-160k_ade20k-512x512.py", 150, 1024, 2),
        ("pointrend/pointrend_r101-p3p5_4xb2-80k_cityscapes-512x1024.py", 19, 2048, 3),
        (DEEPLABV3, 19, 2304, 4),
    ],
)
def test_the_papers_numbers(path: str, classes: int, points: int, steps: int) -> None:
    head = loaded(path).model.decode_head
    assert head.num_classes == classes
    assert head.training_points == dict(num_points=points)
    assert TrainingPoints(**head.training_points).bias == (3, 0.75)
    assert head.subdivision == dict(steps=steps, num_points=8192, scale_factor=2)


@pytest.mark.parametrize("name", [name for name in NAMES if "deeplabv3_r103" in name])
def test_deeplabv3_is_trained_as_in_the_paper(name: str) -> None:
    """App. B: 90k updates from 0.01, ten times that for ASPP and the prediction, 16 images."""
    config = loaded(name)
    assert config.train_cfg.max_iters == config.param_scheduler[-1].end == 90000
    assert 4 * config.train_dataloader.batch_size == 16
    crop = next(t for t in config.train_dataloader.dataset.pipeline if t.type == "RandomCrop")
    assert crop.crop_size == config.model.data_preprocessor.size == (768, 768)
    deeplab = "decode_head.coarse_head." if "pointrend" in name else "decode_head."
    for parameter, (rate, decay) in settings_of_parameters(name, **light(name)).items():
        fast = parameter.startswith(deeplab)
        assert (rate, decay) == pytest.approx((0.1 if fast else 0.01, 1e-4)), parameter


@pytest.mark.parametrize(
    ("name", "coarse_size"),
    [
        (DEEPLABV3, (64, 128)),
        ("deeplabv3/deeplabv3_r103-d16_4xb4-90k_cityscapes-768x768.py", (64, 128)),
        ("deeplabv3/deeplabv3_r103-d8_4xb4-90k_cityscapes-768x768.py", (128, 256)),
        ("pointrend/pointrend_r101_4xb2-80k_cityscapes-512x1024.py", (256, 512)),
        ("pointrend/pointrend_r101-p3p5_4xb2-80k_cityscapes-512x1024.py", (128, 256)),
    ],
)
def test_output_sizes_are_those_of_the_papers_tables(name: str, coarse_size: tuple) -> None:
    """Tables 6 and 7: a picture of 1024x2048; PointRend ends at its size. Shapes alone."""
    config = prepare_config(ROOT / name, options={"model.pretrained": None})
    with torch.device("meta"), torch.no_grad():
        model = MODELS.build(config.model).eval()
        head, features = model.decode_head, model.extract_feat(torch.empty(1, 3, 1024, 2048))
        logits = getattr(head, "coarse_head", head)(features)
    assert logits.shape[2:] == coarse_size
    if "pointrend" in name:
        assert head.subdivision.grid_size(coarse_size) == (1024, 2048)


def test_output_stride_8_is_output_stride_16_in_between() -> None:
    """At every second pixel, dilated stages find what stages with a stride find."""
    features = []
    for stride in ("d16", "d8"):
        path = ROOT / f"deeplabv3/deeplabv3_r103-{stride}_4xb4-90k_cityscapes-768x768.py"
        small = {"depth": 50, "base_channels": 4, "stem_channels": 4}
        config = prepare_config(path, options={f"model.backbone.{k}": v for k, v in small.items()})
        torch.manual_seed(0)
        backbone = MODELS.build(config.model.backbone)
        torch.manual_seed(0)
        for parameter in backbone.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        image = torch.randn(1, 3, 96, 160)
        backbone.double().eval()
        with torch.no_grad():
            features.append(backbone(image.double()))
    coarse, fine = features
    assert [map_.shape[2] for map_ in coarse] == [24, 12, 6, 6]
    assert [map_.shape[2] for map_ in fine] == [24, 12, 12, 12]
    for coarse_map, fine_map in zip(coarse[2:], fine[2:], strict=True):
        assert coarse_map.std() > 0
        torch.testing.assert_close(fine_map[:, :, ::2, ::2], coarse_map)


def test_a_child_sets_the_number_of_classes_once(tmp_path: Path) -> None:
    child = tmp_path / "child.py"
    base = ROOT / "pointrend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py"
    child.write_text(f"_base_ = '{base}'\nmodel = dict(decode_head=dict(num_classes=5))\n")
    model = MODELS.build(prepare_config(child, options={"model.pretrained": None}).model)
    head = model.decode_head
    assert head.coarse_head.conv_seg.out_channels == 5
    assert head.point_head.fc_seg.out_channels == 5
    assert model.num_classes == 5
