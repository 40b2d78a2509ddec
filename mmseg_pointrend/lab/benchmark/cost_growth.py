"""How time and memory from coarse logits to labels grow, and with what.

Compared are our rendering of labels, mmsegmentation's rendering of logits, and the point head at
every pixel (paper, sec. 3.1: for M x M pixels, N log2(M / M0) points instead of M^2). Weights,
features and coarse logits are the same for all three.
"""

import statistics
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmseg_pointrend.core import Subdivision, pixel_centers, render_labels
from mmseg_pointrend.lab.benchmark.allocated_memory import allocated_peak
from mmseg_pointrend.lab.benchmark.models import build_quietly, let_coarse_logits_through
from mmseg_pointrend.lab.benchmark.upstream import point_head_config
from mmseg_pointrend.lab.scenes.logits import scene_logits

CURVES = ("ours", "upstream", "dense")
#: Channels of the fine-grained features and of the point head, as in the paper.
_CHANNELS = 256
#: Points predicted at a time where every pixel is predicted.
_CHUNK = 65536


@dataclass(frozen=True)
class Case:
    """A rendering.

    Attributes:
        coarse: (h, w) of the coarse grid.
        steps: subdivision steps, each doubling the sides.
        num_classes: K.
        num_points: N.
    """

    coarse: tuple[int, int]
    steps: int
    num_classes: int
    num_points: int

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the labels."""
        return self.coarse[0] << self.steps, self.coarse[1] << self.steps

    @property
    def pixels(self) -> int:
        """Number of labels."""
        return self.size[0] * self.size[1]

    @property
    def rendered_points(self) -> int:
        """Predictions of the point head in all steps: N each, or all pixels of a smaller grid."""
        pixels = [(self.coarse[0] * self.coarse[1]) << 2 * s for s in range(1, self.steps + 1)]
        return sum(min(self.num_points, count) for count in pixels)


@dataclass(frozen=True)
class Effort:
    """How large the cases are, and how often each is run.

    Attributes:
        resolution: the case whose steps grow, up to its own.
        other: the case whose classes and points change.
        classes: numbers of classes.
        shares: N as shares of the pixels.
        dense_pixels: up to how many pixels the point head is tried at each.
        repeat: runs whose median counts; fewer of those that take long.
        seconds: after so many no run is repeated.
    """

    resolution: Case
    other: Case
    classes: tuple[int, ...] = (2, 9, 19, 50, 150)
    shares: tuple[float, ...] = (1 / 1024, 1 / 256, 1 / 64, 1 / 16, 1 / 4)
    dense_pixels: int = 1 << 21
    repeat: int = 5
    seconds: float = 5.0


FULL = Effort(Case((64, 128), 5, 19, 2048), Case((128, 256), 2, 19, 2048))
QUICK = Effort(
    Case((16, 32), 3, 9, 128),
    Case((32, 64), 2, 9, 128),
    classes=(2, 9, 19),
    shares=(1 / 256, 1 / 64, 1 / 16),
    dense_pixels=1 << 15,
    repeat=1,
)


def measure_growth(effort: Effort, seed: int = 0, threads: int | None = None) -> list[dict]:
    """Measure all three growths.

    Args:
        effort: `FULL` or `QUICK`.
        seed: which scene.
        threads: of the CPU; as torch chooses by default.

    Returns:
        for each measured point of a curve: `growth` ("resolution", "classes" or "points"), `value`
        (pixels, K or N), `curve`, what was run (`coarse_height`, ..., `predicted_points`),
        `milliseconds` (median of `runs`) and `peak_mib` (`allocated_peak`). The point head at every
        pixel is left out above `effort.dense_pixels`.

    Raises:
        ValueError: for fewer threads than one.
    """
    if threads is not None:
        if threads < 1:
            raise ValueError(f"threads must be an integer >= 1, got {threads}")
        torch.set_num_threads(threads)
    init_default_scope("mmseg")
    measured: dict[tuple, tuple[float, int, int]] = {}
    rows = []
    for growth, value, case in list_cases(effort):
        work = build_works(case, seed)
        for curve in CURVES:
            if curve == "dense" and case.pixels > effort.dense_pixels:
                continue
            # How many points a rendering would predict changes nothing where all are.
            key = (curve, replace(case, num_points=0) if curve == "dense" else case)
            if key not in measured:
                measured[key] = _measure(work[curve], effort)
            milliseconds, runs, peak = measured[key]
            rows.append(
                dict(
                    growth=growth,
                    value=value,
                    curve=curve,
                    coarse_height=case.coarse[0],
                    coarse_width=case.coarse[1],
                    height=case.size[0],
                    width=case.size[1],
                    classes=case.num_classes,
                    points_per_step="" if curve == "dense" else case.num_points,
                    predicted_points=case.pixels if curve == "dense" else case.rendered_points,
                    milliseconds=round(milliseconds, 3),
                    runs=runs,
                    peak_mib=round(peak / 2**20, 3),
                )
            )
    return rows


def list_cases(effort: Effort) -> Iterator[tuple[str, int, Case]]:
    """Yield what grows, its value and the case."""
    for steps in range(effort.resolution.steps + 1):
        case = replace(effort.resolution, steps=steps)
        yield "resolution", case.pixels, case
    for num_classes in effort.classes:
        yield "classes", num_classes, replace(effort.other, num_classes=num_classes)
    for share in effort.shares:
        case = replace(effort.other, num_points=round(share * effort.other.pixels))
        yield "points", case.num_points, case


def build_works(case: Case, seed: int) -> dict[str, Callable[[], Tensor]]:
    """Build the three ways from coarse logits to labels; each returns (1, H, W) labels."""
    ours, upstream = _build_heads(case.num_classes)
    coarse = torch.from_numpy(scene_logits(seed, case.num_classes, case.coarse))[None]
    generator = torch.Generator().manual_seed(seed)
    fine = torch.randn(1, _CHANNELS, *case.coarse, generator=generator)

    # Features as our segmentor extracts them on a CPU.
    last = [x.contiguous(memory_format=torch.channels_last) for x in (fine, coarse)]
    subdivision = Subdivision(case.steps, case.num_points)

    def predict_points(points: Tensor) -> Tensor:
        return ours.point_logits(ours.point_features([last[0]], last[1]), points)

    def render() -> Tensor:
        return render_labels(last[1], predict_points, subdivision)[0][None]

    @torch.no_grad()
    def render_logits() -> Tensor:
        meta = dict(img_shape=case.size, ori_shape=case.size, padding_size=[0] * 4)
        test_cfg = ConfigDict(
            subdivision_steps=case.steps, subdivision_num_points=case.num_points, scale_factor=2
        )
        logits = upstream.predict([fine], coarse, [meta], test_cfg)
        postprocess = MODELS.get("EncoderDecoder").postprocess_result
        samples = [SegDataSample(metainfo=meta)]
        (sample,) = postprocess(types.SimpleNamespace(align_corners=False), logits, samples)
        return sample.pred_sem_seg.data

    @torch.no_grad()
    def predict_every_pixel() -> Tensor:
        logits = torch.empty(1, case.num_classes, case.pixels)
        for start in range(0, case.pixels, _CHUNK):
            pixels = torch.arange(start, min(start + _CHUNK, case.pixels))[None]
            points = pixel_centers(pixels, case.size, logits.dtype)
            logits[:, :, start : start + _CHUNK] = predict_points(points)
        return logits.argmax(1).view(1, *case.size)

    return dict(ours=render, upstream=render_logits, dense=predict_every_pixel)


def _build_heads(num_classes: int) -> tuple[nn.Module, nn.Module]:
    """Build our head and mmsegmentation's point head with the same random weights."""
    config = ConfigDict(
        type="PointRendHead",
        num_classes=num_classes,
        # Asked for by the head, and not used here.
        coarse_head=dict(
            type="FPNHead", in_channels=[8], in_index=[0], feature_strides=[4], channels=8
        ),
        point_head=dict(in_channels=_CHANNELS, channels=_CHANNELS, num_fcs=3),
    )
    ours = build_quietly(config).eval()
    let_coarse_logits_through(ours.point_head, num_classes)
    upstream = build_quietly(point_head_config(config)).eval()
    upstream.load_state_dict(ours.point_head.state_dict())
    return ours, upstream


def _measure(work: Callable[[], Tensor], effort: Effort) -> tuple[float, int, int]:
    """Return the median time in milliseconds, the number of runs, and the peak in bytes."""
    # A first run, too, for what is slow only once.
    peak = allocated_peak(torch.no_grad()(work))
    times: list[float] = []
    while len(times) < effort.repeat and sum(times) < effort.seconds:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times), len(times), peak
