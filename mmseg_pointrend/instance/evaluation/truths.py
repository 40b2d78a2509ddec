"""Annotations that masks are measured against: of a COCO file, of samples, of an LVIS file."""

import json
from collections.abc import Sequence
from pathlib import Path

from mmdet.datasets.api_wrappers import COCO
from pycocotools import mask as mask_tools

from mmseg_pointrend.instance.evaluation.average_precision import make_coco

#: COCO's classes -> WordNet synsets that LVIS knows them by (its authors' coco_to_synset.json).
LVIS_SYNSETS = {
    "person": "person.n.01",
    "bicycle": "bicycle.n.01",
    "car": "car.n.01",
    "motorcycle": "motorcycle.n.01",
    "airplane": "airplane.n.01",
    "bus": "bus.n.01",
    "train": "train.n.01",
    "truck": "truck.n.01",
    "boat": "boat.n.01",
    "traffic light": "traffic_light.n.01",
    "fire hydrant": "fireplug.n.01",
    "stop sign": "stop_sign.n.01",
    "parking meter": "parking_meter.n.01",
    "bench": "bench.n.01",
    "bird": "bird.n.01",
    "cat": "cat.n.01",
    "dog": "dog.n.01",
    "horse": "horse.n.01",
    "sheep": "sheep.n.01",
    "cow": "beef.n.01",
    "elephant": "elephant.n.01",
    "bear": "bear.n.01",
    "zebra": "zebra.n.01",
    "giraffe": "giraffe.n.01",
    "backpack": "backpack.n.01",
    "umbrella": "umbrella.n.01",
    "handbag": "bag.n.04",
    "tie": "necktie.n.01",
    "suitcase": "bag.n.06",
    "frisbee": "frisbee.n.01",
    "skis": "ski.n.01",
    "snowboard": "snowboard.n.01",
    "sports ball": "ball.n.06",
    "kite": "kite.n.03",
    "baseball bat": "baseball_bat.n.01",
    "baseball glove": "baseball_glove.n.01",
    "skateboard": "skateboard.n.01",
    "surfboard": "surfboard.n.01",
    "tennis racket": "tennis_racket.n.01",
    "bottle": "bottle.n.01",
    "wine glass": "wineglass.n.01",
    "cup": "cup.n.01",
    "fork": "fork.n.01",
    "knife": "knife.n.01",
    "spoon": "spoon.n.01",
    "bowl": "bowl.n.03",
    "banana": "banana.n.02",
    "apple": "apple.n.01",
    "sandwich": "sandwich.n.01",
    "orange": "orange.n.01",
    "broccoli": "broccoli.n.01",
    "carrot": "carrot.n.01",
    "hot dog": "frank.n.02",
    "pizza": "pizza.n.01",
    "donut": "doughnut.n.02",
    "cake": "cake.n.03",
    "chair": "chair.n.01",
    "couch": "sofa.n.01",
    "potted plant": "pot.n.04",
    "bed": "bed.n.01",
    "dining table": "dining_table.n.01",
    "toilet": "toilet.n.02",
    "tv": "television_receiver.n.01",
    "laptop": "laptop.n.01",
    "mouse": "mouse.n.04",
    "remote": "remote_control.n.01",
    "keyboard": "computer_keyboard.n.01",
    "cell phone": "cellular_telephone.n.01",
    "microwave": "microwave.n.02",
    "oven": "oven.n.01",
    "toaster": "toaster.n.02",
    "sink": "sink.n.01",
    "refrigerator": "electric_refrigerator.n.01",
    "book": "book.n.01",
    "clock": "clock.n.01",
    "vase": "vase.n.01",
    "scissors": "scissors.n.01",
    "teddy bear": "teddy.n.01",
    "hair drier": "hand_blower.n.01",
    "toothbrush": "toothbrush.n.01",
}


def read_annotations(file: str | Path) -> dict:
    """Read an annotation file.

    Raises:
        FileNotFoundError: without the file.
        ValueError: for a file that is no annotation file.
    """
    path = Path(file)
    if not path.is_file():
        raise FileNotFoundError(f"annotation file {path} does not exist")
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"annotation file {path} is not valid JSON: {error}") from error
    known = content if isinstance(content, dict) else {}
    missing = [key for key in ("images", "categories") if key not in known]
    if missing:
        raise ValueError(f"annotation file {path} has no {' and no '.join(missing)}")
    return content


def truth_of_coco(content: dict) -> COCO:
    """Make the truth of the content of a COCO file; absent areas and boxes are those of the masks.

    Raises:
        ValueError: for annotations without a segmentation.
    """
    sizes = {one["id"]: (one["height"], one["width"]) for one in content["images"]}
    annotations = []
    for one in content.get("annotations") or ():
        if not one.get("segmentation"):
            raise ValueError(
                f"annotation {one.get('id')} of picture {one['image_id']} has no segmentation, "
                "so its mask cannot be measured"
            )
        if isinstance(one["segmentation"], str):
            raise ValueError(
                "masks that are pictures are measured without ann_file, with `instances` in the "
                "meta_keys of PackDetInputs"
            )
        whole = {"iscrowd": 0, **one}
        if "area" not in whole or "bbox" not in whole:
            encoded = encode_segmentation(one["segmentation"], sizes[one["image_id"]])
            whole.setdefault("area", float(mask_tools.area(encoded)))
            whole.setdefault("bbox", mask_tools.toBbox(encoded).tolist())
        annotations.append(whole)
    return make_coco(content["images"], content["categories"], annotations)


def truth_of_samples(samples: Sequence[dict], classes: Sequence[str]) -> COCO:
    """Make the truth of what a data set gave with its pictures.

    Args:
        samples: with `img_id`, `width`, `height` and `anns`, as mmdet's `CocoMetric` keeps them.
        classes: names; a class's number is its place.
    """
    images, annotations = [], []
    for sample in samples:
        size = (sample["height"], sample["width"])
        images.append(dict(id=sample["img_id"], height=size[0], width=size[1]))
        for one in sample["anns"]:
            if not one.get("mask"):
                raise ValueError(f"an object of picture {sample['img_id']} has no mask to measure")
            left, top, right, bottom = (float(side) for side in one["bbox"])
            annotations.append(
                dict(
                    image_id=sample["img_id"],
                    category_id=int(one["bbox_label"]),
                    bbox=[left, top, right - left, bottom - top],
                    area=float(mask_tools.area(encode_segmentation(one["mask"], size))),
                    iscrowd=int(one.get("ignore_flag", 0)),
                    segmentation=one["mask"],
                )
            )
    categories = [dict(id=number, name=name) for number, name in enumerate(classes)]
    return make_coco(images, categories, annotations)


def truth_of_lvis(content: dict, classes: Sequence[str], images: set[int]) -> COCO:
    """Make the truth for predictions of COCO's classes of the content of an LVIS file.

    Annotations and the lists of an image (`neg_category_ids`, `not_exhaustive_category_ids`) of
    other classes are left out. The paper's appendix D tells what a wrong list of absent classes
    did to AP* in its first version.

    Args:
        content: of LVIS v0.5 or v1.
        classes: COCO's names; a class's number is its place.
        images: numbers of the pictures that were predicted.

    Raises:
        ValueError: for classes that are not COCO's, for a file without LVIS's lists, or with none
            of the pictures.
    """
    unknown = [name for name in classes if name not in LVIS_SYNSETS]
    if unknown:
        raise ValueError(f"AP* is for COCO's 80 classes, and {unknown[0]!r} is none of them")
    synsets = {LVIS_SYNSETS[name]: number for number, name in enumerate(classes)}
    ours = {
        one["id"]: synsets[one["synset"]]
        for one in content["categories"]
        if one.get("synset") in synsets
    }
    kept = []
    for image in content["images"]:
        if image["id"] not in images:
            continue
        lists = {}
        for key in ("neg_category_ids", "not_exhaustive_category_ids"):
            if key not in image:
                raise ValueError(f"no LVIS file: picture {image['id']} has no {key}")
            lists[key] = [ours[category] for category in image[key] if category in ours]
        kept.append({**image, **lists})
    if not kept:
        raise ValueError("the LVIS file has none of the pictures that were predicted")
    places = {image["id"] for image in kept}
    annotations = [
        {"iscrowd": 0, **one, "category_id": ours[one["category_id"]]}
        for one in content["annotations"]
        if one["image_id"] in places and one["category_id"] in ours
    ]
    categories = [dict(id=number, name=name) for number, name in enumerate(classes)]
    return make_coco(kept, categories, annotations)


def encode_segmentation(segmentation: list | dict, size: tuple[int, int]) -> dict:
    """Encode a mask given as polygons or run lengths."""
    if isinstance(segmentation, list):
        return mask_tools.merge(mask_tools.frPyObjects(segmentation, *size))
    if isinstance(segmentation["counts"], list):
        return mask_tools.frPyObjects(segmentation, *size)
    return segmentation
