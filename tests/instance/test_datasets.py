"""One's own instances in COCO's form: what is read, filled in and refused."""

import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

# After the package, which lets mmdet import where no ops are compiled.
from mmdet.registry import DATASETS, METRICS
from mmengine.config import Config
from pycocotools import mask as mask_tools

from mmseg_pointrend.instance import InstanceDataset, InstanceMaskMetric
from mmseg_pointrend.lab.scenes import write_instance_scenes

ROOT = Path(__file__).resolve().parents[2]
SIZE = (40, 60)
# 10 x 20 pixels, from column 5 and row 8 on.
POLYGON = [5, 8, 15, 8, 15, 28, 5, 28]
PIPELINE = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True, with_mask=True),
    dict(type="PackDetInputs"),
]


def the_mask() -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    mask[8:28, 5:15] = 1
    return mask


def content(*segmentations: object, **fields: object) -> dict:
    """A file with one picture and a few annotations of the class with number 7."""
    annotations = [
        dict(id=number, image_id=3, category_id=7, segmentation=segmentation, **fields)
        for number, segmentation in enumerate(segmentations)
    ]
    return dict(
        images=[dict(id=3, file_name="a.png", height=SIZE[0], width=SIZE[1])],
        categories=[dict(id=7, name="leaf"), dict(id=4, name="Stone wall")],
        annotations=annotations,
    )


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.full((*SIZE, 3), 99, np.uint8))
    return tmp_path


def read(folder: Path, data: dict | str, classes: tuple | None = None, **options) -> object:
    file = folder / "train.json"
    file.write_text(data if isinstance(data, str) else json.dumps(data))
    settings = dict(
        ann_file="train.json",
        data_root=str(folder),
        data_prefix=dict(img="images", **options.pop("prefix", {})),
        pipeline=PIPELINE,
    )
    if classes is not None:
        settings["metainfo"] = dict(classes=classes)
    # In mmdet's scope, whose steps these are.
    return DATASETS.build(dict(type="InstanceDataset", _scope_="mmdet", **settings, **options))


def run_lengths(compressed: bool) -> dict:
    if compressed:
        encoded = mask_tools.encode(np.asfortranarray(the_mask()))
        return dict(size=list(SIZE), counts=encoded["counts"].decode())
    flat = the_mask().T.ravel()
    places = np.flatnonzero(np.diff(flat, prepend=0))
    counts = np.diff([0, *places, flat.size])
    return dict(size=list(SIZE), counts=counts.tolist())


@pytest.mark.parametrize("kind", ["polygons", "compressed", "uncompressed", "picture", "all"])
def test_every_kind_of_mask_is_the_same_mask(folder, kind):
    (folder / "masks").mkdir()
    cv2.imwrite(str(folder / "masks" / "a_1.png"), 255 * the_mask())
    kinds = dict(
        polygons=[POLYGON],
        compressed=run_lengths(True),
        uncompressed=run_lengths(False),
        picture="a_1.png",
    )
    chosen = list(kinds.values()) if kind == "all" else [kinds[kind]]
    dataset = read(folder, content(*chosen), prefix=dict(mask="masks"))
    sample = dataset[0]["data_samples"]
    assert len(sample.gt_instances) == len(chosen) and not len(sample.ignored_instances)
    for mask in sample.gt_instances.masks.masks:
        np.testing.assert_array_equal(mask, the_mask())
    # Boxes and areas were not given.
    box = [5.0, 8.0, 15.0, 28.0]
    np.testing.assert_array_equal(sample.gt_instances.bboxes.tensor, [box] * len(chosen))


def test_what_is_given_is_kept(folder):
    dataset = read(folder, content([POLYGON], bbox=[4, 7, 12, 22], area=7, iscrowd=1))
    (instance,) = dataset.get_data_info(0)["instances"]
    assert instance["bbox"] == [4, 7, 16, 29] and instance["ignore_flag"] == 1


def test_workers_can_be_sent_the_data_set(folder):
    dataset = pickle.loads(pickle.dumps(read(folder, content([POLYGON]))))
    assert len(dataset) == 1 and len(dataset[0]["data_samples"].gt_instances) == 1


def test_pictures_without_objects_are_read(folder):
    dataset = read(folder, {key: content()[key] for key in ("images", "categories")})
    assert len(dataset[0]["data_samples"].gt_instances) == 0


# ---- classes


def test_without_classes_they_are_the_files(folder):
    for lazy in (True, False):
        dataset = read(folder, content([POLYGON]), lazy_init=lazy)
        assert dataset.metainfo["classes"] == ("leaf", "Stone wall")


def test_classes_left_out_are_named(folder, monkeypatch):
    lines = []
    monkeypatch.setattr(
        "mmseg_pointrend.instance.datasets.print_log", lambda text, **_: lines.append(text)
    )
    dataset = read(folder, content([POLYGON]), ("leaf",))
    assert dataset.get_data_info(0)["instances"][0]["bbox_label"] == 0
    assert len(lines) == 1 and lines[0].endswith("are left out: Stone wall")
    # The one that is left out has no objects.
    assert read(folder, content([POLYGON]), ("Stone wall",)).get_data_info(0)["instances"] == []


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("leaf", "moss"), "has no class 'moss'; its classes are 'leaf', 'Stone wall'"),
        (("leaf", "stone wall"), r"has no class 'stone wall' \(but 'Stone wall'\)"),
        (("leav", "Stone wall"), r"has no class 'leav' \(but 'leaf'\)"),
        (("leaf", "leaf"), "has 'leaf' more than once"),
        (("Stone wall", "leaf"), "'Stone wall', 'leaf' in another order, which labels would"),
    ],
)
def test_classes_are_compared_with_the_file(folder, classes, message):
    with pytest.raises(ValueError, match=message) as caught:
        read(folder, content([POLYGON]), classes)
    assert str(folder / "train.json") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_cityscapes_is_mmdets_and_is_measured(folder):
    """Its instances in COCO's form, as mmdet's converter writes them: numbers from 24 on."""
    names = ("person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
    numbers = (24, 25, 26, 27, 28, 31, 32, 33)
    data = content(run_lengths(True), run_lengths(True), bbox=[5, 8, 10, 20], area=200, iscrowd=0)
    data["categories"] = [dict(id=n, name=name) for n, name in zip(numbers, names, strict=True)]
    data["annotations"][0]["category_id"], data["annotations"][1]["category_id"] = 26, 33
    (folder / "city.json").write_text(json.dumps(data))
    settings = dict(ann_file="city.json", data_root=str(folder), data_prefix=dict(img="images"))
    dataset = DATASETS.build(
        dict(type="CityscapesDataset", _scope_="mmdet", pipeline=PIPELINE, **settings)
    )
    truth = dataset[0]["data_samples"].gt_instances
    assert truth.labels.tolist() == [2, 7]
    metric = InstanceMaskMetric(str(folder / "city.json"))
    metric.dataset_meta = dataset.metainfo
    found = dict(
        bboxes=truth.bboxes.tensor,
        scores=np.ones(2),
        labels=truth.labels,
        masks=truth.masks.masks.astype(bool),
    )
    metric.process({}, [dict(img_id=3, ori_shape=SIZE, pred_instances=found)])
    results = metric.evaluate(1)
    assert {results[f"coco/{kind}_mAP"] for kind in ("bbox", "segm", "boundary")} == {1}


# ---- faults


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (None, "has no segmentation"),
        ([], "has no segmentation"),
        ([[5, 8, 15, 8]], "has a polygon of 4 numbers"),
        ([[*POLYGON, 3]], "has a polygon of 9 numbers"),
        ([POLYGON, [5, 8, 63, 8, 15, 28]], "lies outside of its picture: x from 5 to 63, y from 8"),
        ([[5, -3, 15, 8, 15, 28]], "lies outside of its picture"),
        (
            dict(size=[60, 40], counts=[2400]),
            r"has run lengths .* \(60, 40\), and its picture \(40, 60\)",
        ),
        (dict(size=[40, 60], counts=[2000]), "has run lengths of 2000 pixels in all, not 2400"),
        (dict(size=[40, 60]), "has run lengths without counts"),
        (dict(size=[40, 60], counts="05"), "has run lengths of 5 pixels in all, not 2400"),
        (dict(size=[40, 60], counts="!!"), "has run lengths that are broken"),
        (dict(size=[40, 60], counts=[-5, 2405]), "has run lengths that are broken"),
        (dict(size=[40, 60], counts=["a"]), "has run lengths that are broken"),
        ([["a"] * 6], "has a polygon of other things than finite numbers"),
        ([[1, 2, 3, 4, 5, float("nan")]], "has a polygon of other things than finite numbers"),
        ([1, 2, 3, 4, 5, 6], "has a segmentation that is neither polygons, run"),
    ],
)
def test_masks_that_cannot_be_used_are_named_with_their_picture(folder, segmentation, message):
    with pytest.raises(ValueError, match=f"annotation 1 of a.png {message}") as caught:
        read(folder, content([POLYGON], segmentation))
    assert "1 of 2 annotations cannot be used" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_corners_may_be_rounded_beyond_the_edge(folder):
    edge = [-0.5, 0, SIZE[1] + 1, 0, SIZE[1] + 1, SIZE[0] + 0.5, -0.5, SIZE[0]]
    sample = read(folder, content([edge]))[0]["data_samples"]
    assert sample.gt_instances.masks.masks.all()


def test_faults_of_the_file_are_one_line(folder):
    with pytest.raises(ValueError, match=r"train.json is not valid JSON: Expecting"):
        read(folder, '{"images": [')
    with pytest.raises(ValueError, match=r"train.json has no images and no categories"):
        read(folder, "{}")
    with pytest.raises(ValueError, match=r"train.json has no images and no categories"):
        read(folder, "[1]")
    (folder / "train.json").unlink()
    settings = dict(ann_file="gone.json", data_root=str(folder), data_prefix=dict(img="images"))
    with pytest.raises(FileNotFoundError, match=r"annotation file .*gone.json does not exist"):
        InstanceDataset(**settings)
    with pytest.raises(FileNotFoundError, match="mask .*b.png of a.png does not exist"):
        read(folder, content("b.png"))
    (folder / "b.png").write_text("no picture")
    with pytest.raises(ValueError, match="b.png is no picture that can be read"):
        read(folder, content("b.png"))
    wrong = content([POLYGON])
    wrong["annotations"][0]["category_id"] = 1
    with pytest.raises(ValueError, match="annotation 0 of a.png has class number 1, which"):
        read(folder, wrong)
    wrong["annotations"][0]["image_id"] = 9
    with pytest.raises(ValueError, match="annotation 0 of picture number 9, which the file"):
        read(folder, wrong)
    del wrong["images"][0]["height"]
    with pytest.raises(ValueError, match="picture a.png needs file_name, height and width"):
        read(folder, wrong)


@pytest.mark.parametrize(
    ("table", "rows", "message"),
    [
        ("categories", [dict(id=7)], "entry 0 of categories has no name, got {'id': 7}"),
        ("categories", [dict(id=7, name="a"), dict(id=7, name="b")], "2 entries .* the id '7'"),
        ("categories", [dict(id=7, name="a"), dict(id=8, name="a")], "2 entries .* the name 'a'"),
        ("images", [dict(file_name="a.png")], "entry 0 of images has no id"),
        ("images", {"a": 1}, "images is no list of objects"),
        ("images", [dict(id=3, file_name="a.png", height="40", width=60)], "a.png needs file_name"),
        ("annotations", [[1]], "annotations is no list of objects"),
    ],
)
def test_tables_that_would_mix_up_labels_are_refused(folder, table, rows, message):
    with pytest.raises(ValueError, match=message) as caught:
        read(folder, content([POLYGON]) | {table: rows})
    assert str(folder / "train.json") in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(bbox=[1, 2, 3]), r"has a box that is not \(x, y, width, height\), \[1, 2, 3\]"),
        (dict(area="7"), "has an area that is no number, '7'"),
    ],
)
def test_boxes_and_areas_are_looked_at(folder, fields, message):
    with pytest.raises(ValueError, match=f"annotation 0 of a.png {message}"):
        read(folder, content([POLYGON], **fields))


def test_fields_that_are_null_are_filled_in(folder):
    dataset = read(folder, content([POLYGON], bbox=None, area=None, iscrowd=None))
    (instance,) = dataset.get_data_info(0)["instances"]
    assert instance["bbox"] == [5, 8, 15, 28] and instance["ignore_flag"] == 0


def test_objects_that_mmdet_leaves_out_are_counted(folder, monkeypatch):
    lines = []
    monkeypatch.setattr(
        "mmseg_pointrend.instance.datasets.print_log", lambda text, **_: lines.append(text)
    )
    empty, point = dict(size=list(SIZE), counts=[2400]), [[5, 5, 5, 5, 5, 5]]
    data = content([POLYGON], empty, point)
    data["annotations"] += content([POLYGON], bbox=[500, 8, 9, 9])["annotations"]
    data["annotations"] += content([POLYGON], bbox=[5, 8, 0, 9])["annotations"]
    dataset = read(folder, data)
    assert len(dataset.get_data_info(0)["instances"]) == 1
    assert len(lines) == 1
    assert "4 of 5 annotations are left out" in lines[0] and "annotation 1 of a.png" in lines[0]


# ---- configs


def test_the_shipped_data_sets_are_read(tmp_path):
    write_instance_scenes(tmp_path, 1, 1, (64, 96))
    config = Config.fromfile(ROOT / "configs/_base_/datasets/my_instances.py")
    split = dict(data_root=str(tmp_path), ann_file="annotations/instances_val.json")
    settings = config.val_dataloader.dataset | split | dict(data_prefix=dict(img="val/"))
    dataset = DATASETS.build(settings | dict(_scope_="mmdet"))
    assert dataset.metainfo["classes"] == ("person", "car", "pole", "fence", "plant")
    assert dataset[0]["inputs"].shape[0] == 3
    config.val_evaluator.ann_file = str(tmp_path / split["ann_file"])
    assert type(METRICS.build(config.val_evaluator)).__name__ == "InstanceMaskMetric"
