"""A small data set of COCO's form on disk, and configs cut down to it."""

import json
from pathlib import Path

import cv2
import numpy as np

CLASSES = ("disc", "box")
HEIGHT, WIDTH = 64, 96


def write_tiny_coco(
    folder: Path, pictures: int = 4, classes: tuple[str, ...] = CLASSES, empty: bool = True
) -> Path:
    """Write pictures with a disc (polygon) and a box (RLE) each, and their annotation file.

    With `empty` the last picture has no object; with two classes or more, the first has a crowd.

    Returns:
        the folder: `images/` and `instances.json`.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    images, annotations = [], []

    def annotate(label: int, mask: np.ndarray, segmentation: object, crowd: int = 0) -> None:
        rows, columns = np.nonzero(mask)
        x, y = int(columns.min()), int(rows.min())
        box = [x, y, int(columns.max()) - x + 1, int(rows.max()) - y + 1]
        annotations.append(
            dict(
                id=len(annotations) + 1,
                image_id=len(images),
                category_id=10 * (label % len(classes) + 1),
                bbox=box,
                area=int(mask.sum()),
                iscrowd=crowd,
                segmentation=segmentation,
            )
        )

    for number in range(pictures):
        image = rng.integers(60, 120, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        images.append(dict(id=number + 1, file_name=f"{number}.png", height=HEIGHT, width=WIDTH))
        if not empty or number < pictures - 1:
            center = (int(rng.integers(20, 40)), int(rng.integers(20, 44)))
            radius = int(rng.integers(10, 16))
            circle = cv2.ellipse2Poly(center, (radius, radius), 0, 0, 360, 20)
            mask = np.zeros((HEIGHT, WIDTH), np.uint8)
            cv2.fillPoly(mask, [circle], 1)
            image[mask > 0] = (0, 0, 255)
            annotate(0, mask, [circle.flatten().tolist()])
            left, top = int(rng.integers(56, 66)), int(rng.integers(4, 30))
            mask = np.zeros((HEIGHT, WIDTH), np.uint8)
            mask[top : top + 24, left : left + 20] = 1
            image[mask > 0] = (0, 255, 0)
            annotate(1, mask, uncompressed_rle(mask), crowd=int(number == 0 and len(classes) > 1))
        cv2.imwrite(str(folder / "images" / f"{number}.png"), image)
    categories = [dict(id=10 * (label + 1), name=name) for label, name in enumerate(classes)]
    text = json.dumps(dict(images=images, annotations=annotations, categories=categories))
    (folder / "instances.json").write_text(text)
    return folder


def uncompressed_rle(mask: np.ndarray) -> dict:
    """Encode a mask as COCO's runs, down the columns, of 0 first."""
    flat = mask.flatten(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *edges, len(flat)]).tolist()
    return dict(size=list(mask.shape), counts=runs if flat[0] == 0 else [0, *runs])


def data_options(folder: Path, classes: tuple[str, ...] = CLASSES) -> dict:
    """Options that give a config this data, one picture at a time, at its own size."""
    file = str(folder / "instances.json")
    data = dict(
        type="CocoDataset",
        ann_file=file,
        data_prefix=dict(img=str(folder / "images")),
        metainfo=dict(classes=classes),
    )
    load = dict(type="LoadImageFromFile")
    annotations = dict(type="LoadAnnotations", with_bbox=True, with_mask=True)
    resize = dict(type="Resize", scale=(WIDTH, HEIGHT), keep_ratio=True)
    keys = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")
    flip, pack = dict(type="RandomFlip", prob=0.5), dict(type="PackDetInputs")
    train = [load, annotations, resize, flip, pack]
    test = [load, resize, annotations, dict(pack, meta_keys=keys)]
    val = dict(
        _delete_=True,
        batch_size=1,
        num_workers=0,
        sampler=dict(type="DefaultSampler", shuffle=False),
        dataset=dict(data, pipeline=test, test_mode=True),
    )
    metric = dict(type="CocoMetric", ann_file=file, metric=["bbox", "segm"])
    return {
        "train_dataloader": dict(
            _delete_=True,
            batch_size=2,
            num_workers=0,
            sampler=dict(type="InfiniteSampler"),
            batch_sampler=dict(type="AspectRatioBatchSampler"),
            dataset=dict(data, pipeline=train, filter_cfg=dict(filter_empty_gt=False)),
        ),
        "val_dataloader": val,
        "test_dataloader": dict(val),
        "val_evaluator": [metric],
        "test_evaluator": [dict(metric)],
    }


def small_options(model: dict, num_classes: int = len(CLASSES)) -> dict:
    """Options that leave a model its parts, in a width that costs nothing.

    Args:
        model: the config's.
        num_classes: of the data.
    """
    options = {
        "model.backbone.base_channels": 4,
        "model.backbone.depth": 50,
        "model.backbone.init_cfg": None,
        "model.neck.in_channels": [16, 32, 64, 128],
        "model.neck.out_channels": 16,
        "model.rpn_head.in_channels": 16,
        "model.rpn_head.feat_channels": 16,
        "model.train_cfg.rpn_proposal.max_per_img": 40,
        "model.train_cfg.rpn_proposal.nms_pre": 100,
        "model.test_cfg.rpn.max_per_img": 40,
        "model.test_cfg.rpn.nms_pre": 100,
        "model.test_cfg.rcnn.max_per_img": 10,
        "model.test_cfg.rcnn.score_thr": 0.0,
    }
    if model["backbone"]["type"] == "ResNeXt":
        options |= {"model.backbone.groups": 2, "model.backbone.base_width": 2}
    head = model["roi_head"]
    for part, widths in (
        ("bbox_roi_extractor", dict(out_channels=16)),
        ("bbox_head", dict(in_channels=16, fc_out_channels=24, num_classes=num_classes)),
        ("mask_roi_extractor", dict(out_channels=16)),
        ("mask_head", dict(in_channels=16, conv_out_channels=16, num_classes=num_classes)),
    ):
        found = head.get(part)
        if not found:
            continue
        if isinstance(found, dict) and found["type"] == "PointRendMaskHead":
            options |= {
                "model.roi_head.mask_head.coarse_head": dict(
                    in_channels=16, conv_out_channels=16, fc_out_channels=24
                ),
                "model.roi_head.mask_head.point_head": dict(in_channels=16, channels=16),
            }
            continue
        places = [""] if isinstance(found, dict) else [f".{i}" for i in range(len(found))]
        options |= {
            f"model.roi_head.{part}{place}.{key}": value
            for place in places
            for key, value in widths.items()
        }
    return options


CONFIGS = Path(__file__).parents[2] / "configs/mask_rcnn"
MASK_RCNN = "mask-rcnn_r50-caffe_fpn_ms-1x_coco"


def write_config(
    folder: Path, name: str = f"pointrend-{MASK_RCNN}", pictures: int = 4, **options: object
) -> Path:
    """Write tiny data and a small config of ours for them; it trains two epochs of two iterations.

    Args:
        folder: gets `data/` and `small.py`.
        name: of the config.
        pictures: how many there are; the last has no object.
        options: others, with two underscores for a dot.
    """
    from mmseg_pointrend.apis.configs import load_config

    data = write_tiny_coco(folder / "data", pictures)
    path = CONFIGS / f"{name}.py"
    chosen = small_options(load_config(path).model) | data_options(data)
    chosen["train_dataloader"]["sampler"] = dict(type="DefaultSampler", shuffle=True)
    chosen |= {
        "train_cfg.max_epochs": 2,
        "param_scheduler": [dict(type="LinearLR", start_factor=0.1, by_epoch=False, end=4)],
        "randomness": dict(seed=7),
        # Normalisation that is frozen before it has seen anything: large features.
        "optim_wrapper.optimizer.lr": 1e-3,
        "optim_wrapper.clip_grad": dict(max_norm=1.0),
        "default_hooks.logger.interval": 1,
    }
    chosen |= {key.replace("__", "."): value for key, value in options.items()}
    load_config(path, chosen).dump(folder / "small.py")
    return folder / "small.py"
