"""AP, Boundary AP and AP*: beside pycocotools, a slow reference, and numbers worked out by hand."""

import contextlib
import io
import json
import math
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

# After the package, which lets mmdet import where no ops are compiled.
from mmdet.registry import METRICS
from pycocotools import mask as mask_tools
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmseg_pointrend.instance.evaluation import InstanceMaskMetric, encode_masks
from mmseg_pointrend.instance.evaluation.truths import LVIS_SYNSETS

SIZE = (48, 67)
CLASSES = ("leaf", "stone")


def random_scene(seed: int = 0, images: int = 5) -> tuple[dict, list[dict]]:
    """Truth as a COCO file's content, and predictions that match some of it more or less well."""
    rng = np.random.default_rng(seed)
    truth = dict(images=[], annotations=[], categories=[])
    # The numbers of classes have gaps, those of annotations begin at 0.
    truth["categories"] = [dict(id=3, name="leaf"), dict(id=9, name="stone")]
    samples = []
    for image in range(images):
        truth["images"].append(dict(id=image + 10, height=SIZE[0], width=SIZE[1]))
        masks, coarse, labels, scores = [], [], [], []
        for number in range(int(rng.integers(0, 7))):
            mask = blob(rng)
            label = int(rng.integers(2))
            segmentation = encode_masks(mask[None])[0]
            truth["annotations"].append(
                dict(
                    id=len(truth["annotations"]),
                    image_id=image + 10,
                    category_id=(3, 9)[label],
                    iscrowd=int(number == 3),
                    area=float(mask.sum()),
                    bbox=[1, 2, 30, 20],
                    segmentation=dict(size=list(SIZE), counts=segmentation["counts"].decode()),
                )
            )
            for quality in (0, 1):
                masks.append(disturbed(mask, rng, quality))
                coarse.append(disturbed(mask, rng, quality + 1))
                labels.append(label if rng.random() < 0.9 else 1 - label)
                # Many equal scores: the order of equals matters.
                scores.append(round(float(rng.random()), 1))
        for _ in range(3):
            masks.append(blob(rng))
            coarse.append(blob(rng))
            labels.append(int(rng.integers(2)))
            scores.append(float(rng.random()))
        samples.append(sample(image + 10, masks, labels, scores, coarse))
    return truth, samples


def blob(rng: np.random.Generator) -> torch.Tensor:
    mask = np.zeros(SIZE, np.uint8)
    center = (int(rng.integers(0, SIZE[1])), int(rng.integers(0, SIZE[0])))
    axes = (int(rng.integers(2, 22)), int(rng.integers(2, 16)))
    cv2.ellipse(mask, center, axes, float(rng.integers(180)), 0, 360, 1, -1)
    return torch.from_numpy(mask).bool()


def disturbed(mask: torch.Tensor, rng: np.random.Generator, amount: int) -> torch.Tensor:
    moved = torch.roll(mask, tuple(rng.integers(-amount, amount + 1, 2)), (0, 1))
    return moved & (torch.from_numpy(rng.random(SIZE)) > 0.004 * amount)


def sample(
    image: int,
    masks: list[torch.Tensor],
    labels: list[int],
    scores: list[float],
    coarse: list[torch.Tensor] | None = None,
) -> dict:
    count = len(masks)
    predicted = dict(
        bboxes=torch.rand(count, 4).cumsum(1) * 10,
        labels=torch.tensor(labels, dtype=torch.long),
        scores=torch.tensor(scores, dtype=torch.float64),
        masks=torch.stack(masks) if masks else torch.zeros(0, *SIZE, dtype=torch.bool),
    )
    if coarse is not None:
        predicted["coarse_masks"] = (
            torch.stack(coarse) if coarse else torch.zeros(0, *SIZE, dtype=torch.bool)
        )
    return dict(img_id=image, ori_shape=SIZE, pred_instances=predicted)


def measure(file: Path | None, samples: list[dict], classes=CLASSES, **options) -> dict:
    metric = METRICS.build(dict(type="InstanceMaskMetric", ann_file=file and str(file), **options))
    metric.dataset_meta = dict(classes=classes)
    for one in samples:
        metric.process({}, [one])
    found = metric.evaluate(len(samples))
    assert all(name.startswith("coco/") for name in found)
    return {name.removeprefix("coco/"): value for name, value in found.items()}


def written(folder: Path, content: dict, name: str = "truth.json") -> Path:
    (folder / name).write_text(json.dumps(content))
    return folder / name


def reference(truth: dict, samples: list[dict], field: str, boundary: bool) -> list[float]:
    """By pycocotools as it is; with `boundary`, with overlaps from whole pictures."""
    # Numbered from 1, as pycocotools wants it.
    shifted = [{**one, "id": one["id"] + 1} for one in truth["annotations"]]
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = {**truth, "annotations": shifted}
        known.createIndex()
        predictions = [
            dict(
                image_id=one["img_id"],
                category_id=(3, 9)[int(label)],
                score=float(score),
                segmentation=mask_tools.encode(np.asfortranarray(mask.numpy().astype(np.uint8))),
            )
            for one in samples
            for label, score, mask in zip(
                one["pred_instances"]["labels"],
                one["pred_instances"]["scores"],
                one["pred_instances"][field],
                strict=True,
            )
        ]
        evaluation = (SlowBoundary if boundary else COCOeval)(
            known, known.loadRes(predictions), "segm"
        )
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[:6].tolist()


class SlowBoundary(COCOeval):
    """Boundary IoU as the paper writes it: whole pictures, and distances pixel by pixel."""

    def computeIoU(self, imgId, catId):
        ious = super().computeIoU(imgId, catId)
        if not len(ious):
            return ious
        found, truths = self._dts[imgId, catId], self._gts[imgId, catId]
        found = sorted(found, key=lambda one: -one["score"])
        for row, ours in enumerate(found):
            for column, theirs in enumerate(truths):
                if theirs["iscrowd"]:
                    continue
                a, b = (near_contour(mask_tools.decode(x["segmentation"])) for x in (ours, theirs))
                union = np.count_nonzero(a | b)
                iou = np.count_nonzero(a & b) / union if union else 0.0
                ious[row, column] = min(ious[row, column], iou)
        return ious


def near_contour(mask: np.ndarray) -> np.ndarray:
    height, width = mask.shape
    d = max(1, round(0.02 * math.sqrt(height**2 + width**2)))
    near = np.zeros(mask.shape, bool)
    for y, x in zip(*np.nonzero(mask), strict=True):
        window = [
            (0 <= v < height and 0 <= u < width) and mask[v, u]
            for v in range(y - d, y + d + 1)
            for u in range(x - d, x + d + 1)
        ]
        near[y, x] = not all(window)
    return near


# ---- beside references


@pytest.fixture(scope="module")
def scene() -> tuple[dict, list[dict]]:
    return random_scene()


@pytest.fixture(scope="module")
def results(scene, tmp_path_factory) -> dict[str, float]:
    truth, samples = scene
    return measure(written(tmp_path_factory.mktemp("truth"), truth), samples)


ITEMS = ("mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l")


@pytest.mark.parametrize(("prefix", "field"), [("", "masks"), ("coarse/", "coarse_masks")])
@pytest.mark.parametrize("kind", ["segm", "boundary"])
def test_ap_is_the_references(scene, results, prefix, field, kind):
    expected = reference(*scene, field, kind == "boundary")
    ours = [results[f"{prefix}{kind}_{item}"] for item in ITEMS]
    # -1 is pycocotools' word for nothing to be found.
    expected = [math.nan if value < 0 else round(value, 4) for value in expected]
    np.testing.assert_allclose(ours, expected, atol=1e-9)
    assert 0.05 < ours[0] < 0.95


def test_gains_are_differences_of_what_is_reported(results):
    for kind in ("segm", "boundary"):
        for item in ITEMS:
            refined, coarse = results[f"{kind}_{item}"], results[f"coarse/{kind}_{item}"]
            gain = results[f"gain/{kind}_{item}"]
            assert gain == pytest.approx(refined - coarse, abs=1e-9, nan_ok=True)
    assert results["gain/boundary_mAP"] > results["gain/segm_mAP"] > 0
    assert not any(name.startswith(("coarse/bbox", "gain/bbox")) for name in results)


def test_without_coarse_masks_there_is_no_gain(scene, tmp_path):
    truth, samples = scene
    bare = []
    for one in samples:
        kept = {key: value for key, value in one["pred_instances"].items() if key != "coarse_masks"}
        bare.append({**one, "pred_instances": kept})
    found = measure(written(tmp_path, truth), bare, metric="segm", classwise=True)
    assert set(found) == {f"segm_{item}" for item in ITEMS}
    with pytest.raises(ValueError, match="1 of 2 pictures have coarse_masks; all or none"):
        measure(written(tmp_path, truth), [samples[0], bare[1]])


def test_run_lengths_and_masks_are_the_same(scene, results, tmp_path):
    truth, samples = scene
    encoded = []
    for one in samples:
        fields = dict(one["pred_instances"])
        for field in ("masks", "coarse_masks"):
            fields[field] = encode_masks(fields[field])
        encoded.append({**one, "pred_instances": fields})
    np.testing.assert_equal(measure(written(tmp_path, truth), encoded), results)


def test_truth_of_the_samples_is_that_of_the_file(scene, results):
    truth, samples = scene
    with_truth = []
    for one in samples:
        instances = [
            dict(
                bbox=[1, 2, 31, 22],
                bbox_label=(3, 9).index(annotation["category_id"]),
                mask=annotation["segmentation"],
                ignore_flag=annotation["iscrowd"],
            )
            for annotation in truth["annotations"]
            if annotation["image_id"] == one["img_id"]
        ]
        with_truth.append({**one, "instances": instances})
    np.testing.assert_equal(measure(None, with_truth), results)
    with pytest.raises(ValueError, match="needs ann_file, or `instances`"):
        measure(None, samples)


# ---- by hand


def square(top: int, left: int, side: int) -> torch.Tensor:
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[top : top + side, left : left + side] = True
    return mask


def truth_of(*annotations: dict) -> dict:
    return dict(
        images=[dict(id=1, height=SIZE[0], width=SIZE[1])],
        categories=[dict(id=1, name="leaf"), dict(id=2, name="stone")],
        annotations=[
            dict(
                id=number,
                image_id=1,
                category_id=one.get("category", 1),
                iscrowd=one.get("crowd", 0),
                bbox=[0, 0, 9, 9],
                segmentation=dict(
                    size=list(SIZE), counts=encode_masks(one["mask"][None])[0]["counts"].decode()
                ),
            )
            for number, one in enumerate(annotations)
        ],
    )


def test_a_perfect_pixel_and_a_perfect_picture(tmp_path):
    masks = [square(3, 5, 1), torch.ones(SIZE, dtype=torch.bool)]
    file = written(tmp_path, truth_of(*(dict(mask=mask) for mask in masks)))
    found = measure(file, [sample(1, masks, [0, 0], [0.9, 0.8], masks)])
    for kind in ("segm", "boundary"):
        assert found[f"{kind}_mAP"] == 1 and found[f"gain/{kind}_mAP"] == 0
    # Areas are those of the masks: one is small, one of 48 * 67 = 3216 is middling.
    assert found["segm_mAP_s"] == found["segm_mAP_m"] == 1
    assert math.isnan(found["segm_mAP_l"])


def test_a_small_shift_costs_boundary_ap_more(tmp_path):
    """d = round(0.02 * 82.4) = 2. A square of 20, moved by 1: 380 of 420; rings 144 of 20*20-16*16.

    The rings have 144 pixels each. In common: rows 0, 1, 18 and 19 without a column, 4 * 19; and of
    the 16 rows between them columns 1 and 19, one each side: 2 * 16. 108 of 288 - 108: 0.6.
    """
    file = written(tmp_path, truth_of(dict(mask=square(10, 10, 20))))
    found = measure(file, [sample(1, [square(10, 11, 20)], [0], [0.9])])
    assert found["segm_mAP"] == 0.9  # 0.9048: all thresholds but 0.95
    assert found["boundary_mAP"] == 0.3  # 0.5, 0.55 and 0.6
    assert found["boundary_mAP_50"] == 1 and found["boundary_mAP_75"] == 0


def test_what_lies_in_a_crowd_is_not_counted(tmp_path):
    crowd = square(0, 0, 40)
    truth = truth_of(dict(mask=square(41, 50, 6)), dict(mask=crowd, crowd=1))
    inside, right = square(10, 10, 12), square(41, 50, 6)
    found = measure(written(tmp_path, truth), [sample(1, [inside, right], [0, 0], [0.9, 0.8])])
    assert found["segm_mAP"] == found["boundary_mAP"] == 1
    # Beside it, it is a false one, and comes first.
    truth["annotations"].pop()
    found = measure(written(tmp_path, truth), [sample(1, [inside, right], [0, 0], [0.9, 0.8])])
    assert found["segm_mAP"] == found["boundary_mAP"] == 0.5


def test_no_predictions_and_no_truths(tmp_path):
    some = truth_of(dict(mask=square(3, 3, 9)))
    found = measure(written(tmp_path, some), [sample(1, [], [], [], [])])
    assert found["segm_mAP"] == found["boundary_mAP"] == found["gain/boundary_mAP"] == 0
    none = {**some, "annotations": []}
    for annotations in (none, {key: none[key] for key in ("images", "categories")}):
        file = written(tmp_path, annotations)
        for one in (sample(1, [], [], []), sample(1, [square(1, 1, 4)], [1], [0.5])):
            found = measure(file, [one])
            assert found and all(math.isnan(value) for value in found.values())
    # An empty mask is found nowhere.
    empty = torch.zeros(SIZE, dtype=torch.bool)
    found = measure(written(tmp_path, some), [sample(1, [empty], [0], [0.5])])
    assert found["segm_mAP"] == 0


def test_files_are_written_for_others(scene, tmp_path):
    truth, samples = scene
    file = written(tmp_path, truth)
    prefix = str(tmp_path / "run")
    assert measure(file, samples, format_only=True, outfile_prefix=prefix) == {}
    known = COCO(file)
    for name in ("run.segm.json", "run.coarse.segm.json"):
        loaded = known.loadRes(str(tmp_path / name))
        assert len(loaded.anns) == sum(len(one["pred_instances"]["labels"]) for one in samples)


# ---- AP*


def lvis_file(folder: Path, images: dict[int, tuple[list[str], list[str]]], objects: list) -> Path:
    """Write an LVIS file: image -> absent classes, unfinished classes; (image, class, mask)."""
    names = ["person", "cat", "zeppelin", "cow"]
    synsets = {**LVIS_SYNSETS, "zeppelin": "zeppelin.n.01"}
    categories = [dict(id=n + 400, name=name, synset=synsets[name]) for n, name in enumerate(names)]
    content = dict(
        images=[
            dict(
                id=image,
                height=SIZE[0],
                width=SIZE[1],
                neg_category_ids=[names.index(name) + 400 for name in absent],
                not_exhaustive_category_ids=[names.index(name) + 400 for name in unfinished],
            )
            for image, (absent, unfinished) in images.items()
        ],
        categories=categories,
        annotations=[
            dict(
                id=number,
                image_id=image,
                category_id=names.index(name) + 400,
                area=float(mask.sum()),
                bbox=[0, 0, 5, 5],
                segmentation=dict(
                    size=list(SIZE), counts=encode_masks(mask[None])[0]["counts"].decode()
                ),
            )
            for number, (image, name, mask) in enumerate(objects)
        ],
    )
    return written(folder, content, "lvis.json")


LVIS_CLASSES = ("cat", "cow", "person")


def lvis_ap(folder: Path, file: Path, samples: list[dict]) -> float:
    """AP* for predictions whose COCO file has no annotations."""
    coco = dict(images=[dict(id=n, height=SIZE[0], width=SIZE[1]) for n in (1, 2, 3)])
    coco["categories"] = [dict(id=n + 5, name=name) for n, name in enumerate(LVIS_CLASSES)]
    found = measure(
        written(folder, coco), samples, LVIS_CLASSES, metric="segm", lvis_ann_file=str(file)
    )
    assert math.isnan(found["segm_mAP"])
    return found["lvis_segm_mAP"]


@pytest.mark.parametrize(
    ("absent", "unfinished", "expected"),
    [
        # A second cat, better scored, where there is none: it is counted as false ...
        ([], [], 0.5),
        # ... but where not all cats are annotated.
        ([], ["cat"], 1.0),
        # Lists of other classes change nothing, also of those that COCO has not.
        (["zeppelin", "person"], ["zeppelin", "person"], 0.5),
    ],
)
def test_an_unfinished_class_has_no_false_predictions(tmp_path, absent, unfinished, expected):
    cat = square(5, 5, 12)
    file = lvis_file(tmp_path, {1: (absent, unfinished)}, [(1, "cat", cat)])
    one = sample(1, [square(30, 30, 9), cat], [0, 0], [0.9, 0.8])
    assert lvis_ap(tmp_path, file, [one]) == expected


@pytest.mark.parametrize(("absent", "expected"), [([], 1.0), (["cat"], 0.5)])
def test_a_class_that_nobody_looked_for_is_not_counted(tmp_path, absent, expected):
    """A cat is predicted in a picture without cats: false only if its annotators looked for cats.

    This is the list that was wrong in the paper's first version (appendix D).
    """
    cat = square(5, 5, 12)
    file = lvis_file(tmp_path, {1: ([], []), 2: (absent, [])}, [(1, "cat", cat)])
    samples = [sample(1, [cat], [0], [0.7]), sample(2, [cat], [0], [0.9])]
    assert lvis_ap(tmp_path, file, samples) == expected


def test_pictures_and_classes_of_one_side_alone_are_left_out(tmp_path):
    cat, cow = square(5, 5, 12), square(20, 30, 15)
    file = lvis_file(
        tmp_path,
        {1: ([], []), 7: ([], [])},
        [(1, "cat", cat), (1, "zeppelin", cow), (7, "cat", cat), (1, "cow", cow)],
    )
    # Picture 3 is not in the LVIS file, picture 7 was not predicted; of the cow half is found.
    half = cow.clone()
    half[20:27] = False
    samples = [sample(1, [cat, half], [0, 1], [0.5, 0.5]), sample(3, [cow], [0], [0.9])]
    # IoU of the cow: 8 of 15 rows, 0.533, right at one threshold of ten.
    assert lvis_ap(tmp_path, file, samples) == pytest.approx((1 + 0.1) / 2)


def test_the_best_300_of_a_picture_count(tmp_path):
    cat = square(5, 5, 12)
    file = lvis_file(tmp_path, {1: (["cow"], [])}, [(1, "cat", cat)])
    speck = square(1, 1, 1)
    for others, expected in ((299, 1.0), (300, 0.0)):
        one = sample(1, [speck] * others + [cat], [1] * others + [0], [0.9] * others + [0.8])
        assert lvis_ap(tmp_path, file, [one]) == expected


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        # AP, AP50, AP75, APs of LVISEval, lvis 0.5.3, run on the files of these seeds.
        (0, [0.6665, 0.7985, 0.6368, 0.6665]),
        (3, [0.7742, 0.7922, 0.7867, 0.7742]),
        (5, [0.5809, 0.7077, 0.5348, 0.5809]),
    ],
)
def test_ap_star_is_lvis_own(tmp_path, seed, expected):
    names = ("cat", "cow", "person")
    truth, samples = random_lvis(seed, names)
    file = written(tmp_path, truth, "lvis.json")
    coco = dict(images=truth["images"])
    coco["categories"] = [dict(id=n + 5, name=name) for n, name in enumerate(names)]
    found = measure(written(tmp_path, coco), samples, names, metric="segm", lvis_ann_file=str(file))
    ours = [found[f"lvis_segm_{item}"] for item in ("mAP", "mAP_50", "mAP_75", "mAP_s")]
    assert ours == expected


def random_lvis(seed: int, names: tuple[str, ...]) -> tuple[dict, list[dict]]:
    """A random scene in which some classes are absent, and others unfinished."""
    rng = np.random.default_rng(seed)
    truth, samples = random_scene(seed, images=8)
    for one in truth["annotations"]:
        one["category_id"] = int(rng.integers(3)) + 1
        one["id"] += 1
        del one["iscrowd"]
    truth["categories"] = [
        dict(id=number, name=name, synset=LVIS_SYNSETS[name], frequency="f")
        for number, name in enumerate(names, 1)
    ]
    for image in truth["images"]:
        for key in ("neg_category_ids", "not_exhaustive_category_ids"):
            image[key] = [number for number in (1, 2, 3) if rng.random() < 0.3]
    for one in samples:
        found = one["pred_instances"]
        found["labels"] = torch.from_numpy(rng.integers(0, 3, len(found["labels"])))
        for place, mask in enumerate(found["masks"].numpy()):
            for annotation in truth["annotations"]:
                if annotation["image_id"] != one["img_id"]:
                    continue
                true = mask_tools.decode(annotation["segmentation"]).astype(bool)
                iou = (true & mask).sum() / max(1, (true | mask).sum())
                if iou > 0.5 and rng.random() < 0.8:
                    found["labels"][place] = annotation["category_id"] - 1
    return truth, samples


def test_synsets_are_cocos_classes():
    from mmdet.datasets import CocoDataset

    assert tuple(LVIS_SYNSETS) == CocoDataset.METAINFO["classes"]
    assert len(set(LVIS_SYNSETS.values())) == 80
    assert LVIS_SYNSETS["cow"] == "beef.n.01"  # in LVIS, too, a cow is named by its meat


# ---- what is refused


def test_faults_are_named(tmp_path, scene):
    truth, samples = scene
    file = written(tmp_path, truth)
    with pytest.raises(FileNotFoundError, match=r"annotation file .*gone.json does not exist"):
        measure(tmp_path / "gone.json", samples)
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ValueError, match=r"annotation file .*broken.json is not valid JSON"):
        measure(tmp_path / "broken.json", samples)
    with pytest.raises(ValueError, match="has no images and no categories"):
        measure(written(tmp_path, {}, "empty.json"), samples)
    with pytest.raises(ValueError, match="the annotation file has no class 'moss'"):
        measure(file, samples, ("leaf", "moss"))
    with pytest.raises(ValueError, match="metric must be some of bbox, segm, boundary"):
        measure(file, samples, metric=["segm", "proposal"])
    with pytest.raises(ValueError, match="distance must be an integer"):
        measure(file, samples, distance=1.5)
    with pytest.raises(ValueError, match="'leaf' is none of them"):
        measure(file, samples, lvis_ann_file=str(file))
    no_masks = {**samples[0], "pred_instances": dict(bboxes=0, labels=0, scores=0)}
    with pytest.raises(ValueError, match="the model predicts none"):
        measure(file, [no_masks])
    without = json.loads(json.dumps(truth))
    del without["annotations"][0]["segmentation"]
    with pytest.raises(ValueError, match="annotation 0 of picture .* has no segmentation"):
        measure(written(tmp_path, without, "without.json"), samples)
    without["annotations"][0]["segmentation"] = "mask.png"
    with pytest.raises(ValueError, match="are measured without ann_file, with `instances`"):
        measure(written(tmp_path, without, "names.json"), samples)


def test_areas_and_boxes_of_the_truth_are_filled_in(scene, results, tmp_path):
    truth, samples = scene
    bare = json.loads(json.dumps(truth))
    for one in bare["annotations"]:
        del one["area"], one["bbox"]
    found = measure(written(tmp_path, bare), samples)
    for name, value in results.items():
        assert "bbox" in name or found[name] == pytest.approx(value, nan_ok=True)


def test_predictions_wait_as_run_lengths(scene, tmp_path):
    truth, samples = scene
    metric = InstanceMaskMetric(str(written(tmp_path, truth)))
    metric.process({}, samples)
    for _, found in metric.results:
        assert all(set(mask) == {"size", "counts"} for mask in found["masks"])
        assert not any(isinstance(value, torch.Tensor) for value in found.values())


def test_two_ranks_measure_what_one_does(scene, results, tmp_path, monkeypatch):
    """Of five pictures the second rank has two, and the first one again, to have as many."""
    truth, samples = scene
    file = str(written(tmp_path, truth))
    ranks = []
    for places in ((0, 2, 4), (1, 3, 0)):
        metric = InstanceMaskMetric(file)
        metric.dataset_meta = dict(classes=CLASSES)
        for place in places:
            metric.process({}, [samples[place]])
        ranks.append(metric)
    # What mmengine's collect_results does with the pickled results of all ranks.
    shares = [pickle.loads(pickle.dumps(metric.results)) for metric in ranks]

    def collect(results, size, *args, **kwargs):
        return [one for pair in zip(*shares, strict=True) for one in pair][:size]

    monkeypatch.setattr("mmengine.evaluator.metric.collect_results", collect)
    found = ranks[0].evaluate(len(samples))
    expected = {f"coco/{name}": value for name, value in results.items()}
    np.testing.assert_equal(found, expected)
