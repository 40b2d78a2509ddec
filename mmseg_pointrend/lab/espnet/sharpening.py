"""ESPNet's own decoder against a point head on its maps."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from mmseg_pointrend.core import Neighborhood, Subdivision, TrainingPoints
from mmseg_pointrend.evaluation.functional import (
    intersections_and_unions,
    iou_per_class,
    trimap,
)
from mmseg_pointrend.lab.espnet.camvid import CLASSES, VOID, CamVidPictures
from mmseg_pointrend.lab.espnet.network import ESPNet
from mmseg_pointrend.retrofit import HeadTraining, KeptMaps, Retrofit, TrainingSettings

#: Half widths of the bands around boundaries, pixels.
WIDTHS = (2, 4, 8)
#: Stride of the coarse map.
STRIDE = 4


@dataclass(frozen=True)
class Sharpening:
    """What is trained, and how it is rendered.

    Attributes:
        iterations: of the training.
        batch_size: pictures in each.
        num_points: N of the rendering.
        seed: of the point head, the batches and the points.
    """

    iterations: int = 2400
    batch_size: int = 2
    num_points: int | float = 1 / 16
    seed: int = 0


def read_maps(network: ESPNet, images: Tensor) -> tuple[Tensor, list]:
    """Read the logits at stride 4, the encoder's and the decoder's maps, and the picture."""
    first, second, last = network.maps(images)
    logits = network.classifier(last)[:, :CLASSES]
    return F.avg_pool2d(logits, STRIDE), [first, second, last, Neighborhood(images)]


def sharpen(weights: str | Path, camvid: str | Path, settings: Sharpening) -> dict:
    """Train a point head on ESPNet with its published weights, and measure both.

    Args:
        weights: `espnet_p_2_q_8_camvid.pth`.
        camvid: folder, see `CamVidPictures`; `train` trains, `test` measures.
        settings: of the training and the rendering.

    Returns:
        `own` (ESPNet's decoder), `coarse` (its logits at stride 4, bilinear) and `rendered`, of
        each metric -> percent; `seconds` of the training, the maps included.

    Raises:
        FileNotFoundError: if weights or pictures are missing.
    """
    if not Path(weights).is_file():
        raise FileNotFoundError(f"weights {weights} do not exist")
    train, test = CamVidPictures(camvid, "train"), CamVidPictures(camvid, "test")
    network = ESPNet(CLASSES + 1)
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    start = time.perf_counter()
    model = train_head(network, train, settings)
    seconds = time.perf_counter() - start
    predictors = dict(
        own=lambda images: network(images)[:, :CLASSES].argmax(1),
        coarse=model.coarse_labels,
        rendered=model,
    )
    found = {name: measure(predict, test) for name, predict in predictors.items()}
    return dict(**found, seconds=round(seconds))


def train_head(network: nn.Module, pictures: CamVidPictures, settings: Sharpening) -> Retrofit:
    """Train a point head on the maps of pictures, which are computed once."""
    torch.manual_seed(settings.seed)
    model = Retrofit(network, read_maps, pictures[0][0][None])
    model.subdivision = Subdivision(model.subdivision.steps, settings.num_points)
    training = TrainingSettings(
        iterations=settings.iterations,
        training_points=TrainingPoints(2048),
        class_weights=pictures.class_weights(),
        ignore_index=VOID,
        seed=settings.seed,
    )
    kept = KeptMaps(model, pictures)
    batches = DataLoader(kept, settings.batch_size, shuffle=True, collate_fn=kept.collate)
    HeadTraining(model, training).run(batches, interval=200)
    return model


@torch.no_grad()
def measure(predict: Callable[[Tensor], Tensor], pictures: Dataset) -> dict[str, float]:
    """Measure a predictor of labels: mean IoU, whole and near boundaries, in percent.

    Args:
        predict: (1, 3, H, W) images -> (1, H, W) labels.
        pictures: images and labels.
    """
    counts = torch.zeros(1 + len(WIDTHS), 2, CLASSES, dtype=torch.int64)
    for index in range(len(pictures)):
        image, labels = pictures[index]
        found, known = predict(image[None])[0].long(), labels != VOID
        bands = [known, *(trimap(labels[None], width, VOID)[0] & known for width in WIDTHS)]
        for count, band in zip(counts, bands, strict=True):
            count += intersections_and_unions(found, labels, CLASSES, band, band)
    means = [100 * float(iou_per_class(count).nanmean()) for count in counts]
    names = ["mIoU", *(f"mIoU_{width}px" for width in WIDTHS)]
    return {name: round(mean, 2) for name, mean in zip(names, means, strict=True)}
