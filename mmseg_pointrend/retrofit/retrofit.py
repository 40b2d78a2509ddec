"""A frozen network with a point head."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mmseg_pointrend.core import (
    Neighborhood,
    PointFeatures,
    PredictPoints,
    Resize,
    Subdivision,
    TrainingPoints,
    decide,
    label_sample,
    render,
    render_labels,
    select_training_points,
)
from mmseg_pointrend.core.shapes import check_shape
from mmseg_pointrend.retrofit.loss import point_loss
from mmseg_pointrend.retrofit.point_head import PointHead

#: A map (N, C, h, w), or the pixels around a point of one.
FineMap = Tensor | Neighborhood


class Maps(NamedTuple):
    """What a network computes of N images.

    Attributes:
        coarse: (N, K, h, w), logits.
        fine: fine-grained maps.
    """

    coarse: Tensor
    fine: list[FineMap]

    def to(self, device: torch.device | str) -> "Maps":
        """Put them on a device."""
        fine = [changed(one, lambda values: values.to(device)) for one in self.fine]
        return Maps(self.coarse.to(device), fine)


#: (network, (N, 3, H, W) images) -> (N, K, h, w) coarse logits, fine-grained maps.
ReadMaps = Callable[[nn.Module, Tensor], tuple[Tensor, Sequence[FineMap]]]

#: N of the rendering, as a share of the pixels: on CamVid a frozen ESPNet gains up to here.
SHARE_OF_POINTS = 1 / 16


class Retrofit(nn.Module):
    """A network that stays as it is, and a point head that renders its prediction (paper, sec. 3).

    The network is frozen: it is always in evaluation mode, whatever `train` says, runs without a
    gradient, and its parameters ask for none. So neither weights nor statistics of batch
    normalisation change by a bit. Called with images, the module renders labels.

    Args:
        network: any module.
        read_maps: runs it, see `ReadMaps`. A fine-grained map is a tensor of any size that covers
            the whole picture, or a `core.Neighborhood` of one: of the picture itself, for instance.
        example: (N, 3, H, W), an image as the network takes it, of which the values do not matter:
            classes, channels and the stride of the coarse map are read from what it gives.
        point_head: (N, C, P) fine-grained features, multiplied by `feature_scales`, and (N, K, P)
            coarse logits -> (N, K, P) logits; a `PointHead` by default.
        subdivision: how it is rendered. By default steps up to the images' size, and a sixteenth
            of its pixels as N.
        threshold: with K = 1, the probability above which a pixel is class 1.

    Raises:
        ValueError: for maps of other shapes, or a coarse map as large as the image.

    Example:
        >>> network = torch.nn.ModuleDict(dict(
        ...     stem=torch.nn.Conv2d(3, 8, 3, stride=2, padding=1),
        ...     body=torch.nn.Conv2d(8, 4, 3, stride=4, padding=1),
        ... ))
        >>> def read_maps(network, images):
        ...     stem = network.stem(images)
        ...     return network.body(stem), [stem]
        >>> model = Retrofit(network, read_maps, torch.zeros(1, 3, 64, 64))
        >>> model.subdivision.steps, model(torch.randn(2, 3, 96, 130)).shape
        (3, torch.Size([2, 96, 130]))
    """

    def __init__(
        self,
        network: nn.Module,
        read_maps: ReadMaps,
        example: Tensor,
        point_head: nn.Module | None = None,
        subdivision: Subdivision | None = None,
        threshold: float | None = None,
    ) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.read_maps = read_maps
        self.threshold = threshold
        self.train()
        coarse, fine = self.maps(example)
        channels = sum(map(count_channels, fine))
        #: (C,): what fine-grained features are multiplied with, see `measure_scales`.
        self.feature_scales: Tensor
        self.register_buffer("feature_scales", torch.ones(channels, device=coarse.device))
        if point_head is None:
            point_head = PointHead(channels, coarse.shape[1]).to(coarse.device)
        self.point_head = point_head
        self.subdivision = subdivision or Subdivision(
            steps=count_steps(example, coarse), num_points=SHARE_OF_POINTS
        )

    def train(self, mode: bool = True) -> "Retrofit":
        """Set the point head's mode; the network stays in evaluation mode."""
        super().train(mode)
        self.network.eval()
        return self

    # ---- prediction ------------------------------------------------------------------------------

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Render labels: (N, 3, H, W) images -> (N, H, W), in the smallest type that holds K."""
        coarse, fine = self.maps(images)
        return self._labels(images, coarse, self._predict_points(fine, coarse), self.subdivision)

    @torch.no_grad()
    def coarse_labels(self, images: Tensor) -> Tensor:
        """Decide by the coarse logits alone, bilinearly enlarged: what `forward` is without points.

        Args:
            images: (N, 3, H, W).

        Returns:
            (N, H, W) labels.
        """
        coarse, fine = self.maps(images)
        no_steps = self.subdivision.more_steps(-self.subdivision.steps)
        return self._labels(images, coarse, self._predict_points(fine, coarse), no_steps)

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """Render logits: (N, 3, H, W) images -> (N, K, H, W)."""
        coarse, fine = self.maps(images)
        rendered = render(coarse, self._predict_points(fine, coarse), self.subdivision)
        return Resize(images.shape[2], images.shape[3]).apply(rendered)

    def _labels(
        self, images: Tensor, coarse: Tensor, predict_points: PredictPoints, how: Subdivision
    ) -> Tensor:
        to_image = (Resize(images.shape[2], images.shape[3]),)
        labels = render_labels(coarse, predict_points, how, [to_image], self.threshold)
        return torch.stack(labels)

    # ---- training --------------------------------------------------------------------------------

    def measure_scales(self, images: Tensor | Maps) -> None:
        """Make all fine-grained maps vary as much as each other, by one factor for each map.

        What varies a hundred times less than its neighbours, as the picture of a network that takes
        it divided by 255 twice, a point head hardly sees. `HeadTraining` does it once, by its first
        batch.

        Args:
            images: (N, 3, H, W), or what the network computes of them.
        """
        maps = images if isinstance(images, Maps) else self.maps(images)
        scales = []
        for features in maps.fine:
            deviation = float(map_of(features).float().std())
            scales += [1 / deviation if deviation > 0 else 1.0] * count_channels(features)
        self.feature_scales.copy_(self.feature_scales.new_tensor(scales))

    def predict_training_points(
        self,
        images: Tensor | Maps,
        labels: Tensor,
        training_points: TrainingPoints,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Choose points and predict them, with a gradient for the point head.

        Args:
            images: (N, 3, H, W), or their maps, see `KeptMaps`.
            labels: (N, H', W'), integers, of the same pictures; the size may be another one.
            training_points: how many, and which.
            generator: source of randomness; torch's global one by default.

        Returns:
            (N, K, P) logits, and (N, P) the labels there.

        Raises:
            ValueError: for shapes that do not fit.
        """
        check_shape("labels", labels, "(N, H, W)")
        coarse, fine = images if isinstance(images, Maps) else self.maps(images)
        margin = self.subdivision.margin
        points = select_training_points(coarse, training_points, margin, generator)
        return self._predict_points(fine, coarse)(points), label_sample(labels, points)

    def loss(
        self,
        images: Tensor | Maps,
        labels: Tensor,
        training_points: TrainingPoints,
        class_weights: Sequence[float] | None = None,
        ignore_index: int = 255,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Compute the loss of training points, see `predict_training_points` and `point_loss`.

        Returns:
            the loss, and the share of known points whose label is right, both scalars.
        """
        logits, target = self.predict_training_points(images, labels, training_points, generator)
        loss = point_loss(logits, target, class_weights, ignore_index)
        with torch.no_grad():
            known = target != ignore_index
            hits = (decide(logits, self.threshold) == target) & known
            return loss, hits.sum() / known.sum().clamp(min=1)

    # ---- shared ----------------------------------------------------------------------------------

    @torch.no_grad()
    def maps(self, images: Tensor) -> Maps:
        """Run the network: (N, 3, H, W) images -> (N, K, h, w) coarse logits, fine-grained maps.

        Raises:
            ValueError: if `read_maps` gives something else.
        """
        check_shape("images", images, "(N, 3, H, W)")
        found = self.read_maps(self.network, images)
        if not isinstance(found, tuple | list) or len(found) != 2:
            raise ValueError(
                "read_maps must return (coarse logits, list of fine-grained maps), got "
                f"{type(found).__name__}"
            )
        coarse, fine = found
        maps = {"coarse logits": coarse} | {
            f"fine-grained map {number}": map_of(features) for number, features in enumerate(fine)
        }
        for name, values in maps.items():
            fits = isinstance(values, Tensor) and values.dim() == 4 and len(values) == len(images)
            if not fits or not values.is_floating_point():
                shape = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
                raise ValueError(
                    f"read_maps: {name} must be floating-point, (N, C, h, w) with N = "
                    f"{len(images)}, got {shape}"
                )
        if not fine:
            raise ValueError("read_maps must return at least one fine-grained map, got none")
        return Maps(coarse, list(fine))

    def _predict_points(self, fine: Sequence[FineMap], coarse: Tensor) -> PredictPoints:
        features = PointFeatures(fine, coarse)

        def predict(points: Tensor) -> Tensor:
            read, logits = features(points)
            return self.point_head(read * self.feature_scales[:, None], logits)

        return predict


def changed(features: FineMap, change: Callable[[Tensor], Tensor]) -> FineMap:
    """Change the values of a map, or of the one that neighbourhoods are of."""
    if isinstance(features, Neighborhood):
        return Neighborhood(change(features.maps), features.kernel_size)
    return change(features)


def map_of(features: Any) -> Any:
    """The map that features are read from, alone or around points."""
    return features.maps if isinstance(features, Neighborhood) else features


def count_channels(features: FineMap) -> int:
    """Count the numbers that a point reads of a map.

    Example:
        >>> count_channels(Neighborhood(torch.zeros(1, 3, 8, 8), kernel_size=3))
        27
    """
    if isinstance(features, Neighborhood):
        return features.maps.shape[1] * features.kernel_size**2
    return features.shape[1]


def count_steps(images: Tensor, coarse: Tensor) -> int:
    """Count the subdivision steps that bring a coarse map to the images' size, each doubling it.

    Args:
        images: (N, 3, H, W).
        coarse: (N, K, h, w).

    Raises:
        ValueError: for a coarse map as large as the images.

    Example:
        >>> count_steps(torch.zeros(1, 3, 64, 65), torch.zeros(1, 2, 8, 9))
        3
    """
    strides = [images.shape[axis] / coarse.shape[axis] for axis in (2, 3)]
    steps = round(math.log2(max(strides)))
    if steps < 1:
        raise ValueError(
            f"read_maps: the coarse logits {tuple(coarse.shape[2:])} are as large as the image "
            f"{tuple(images.shape[2:])}, so nothing is left to render; average them, for instance "
            "by avg_pool2d(logits, 4)"
        )
    return steps
