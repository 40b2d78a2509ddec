"""The config of a trained model with a point head."""

from collections.abc import Sequence
from dataclasses import dataclass

from mmengine.config import Config

from mmseg_pointrend.apis.configs import is_pointrend
from mmseg_pointrend.apis.evaluators import ignored_label, list_evaluators, metric_name
from mmseg_pointrend.apis.retrofit.base_maps import BaseMaps, count_steps
from mmseg_pointrend.engine.pretrained import leave_out_pretrained
from mmseg_pointrend.engine.type_names import type_name

#: What `PointRendHead` is told, and tells its coarse head.
_CLASS_KEYS = ("num_classes", "out_channels", "threshold", "ignore_index")
#: What registers the types that the config names.
_IMPORTS = tuple(
    f"mmseg_pointrend.{room}" for room in ("models", "datasets", "evaluation", "engine")
)
#: Hooks of a base's own training that have nothing to do in this one.
_DROPPED_HOOKS = {"EMAHook", "EarlyStoppingHook", "ResumableEarlyStoppingHook"}
#: What of a base's config says how the whole model was trained.
_DROPPED_KEYS = ("strategy", "runner_type", "auto_scale_lr", "resume")


@dataclass(frozen=True)
class PointSettings:
    """How a point head is built and trained on a model that exists.

    Attributes:
        iterations: of the training; batches are the base's.
        learning_rate: of AdamW; it rises to it in the first twentieth, and falls to 0.
        channels: width of the point head's three hidden layers.
        fine_strides: strides of the fine-grained maps; None: the first of those of least stride.
        picture: side of the window of the picture's pixels that a point reads, too; 0 for none.
        num_points: N of the rendering: see `core.Subdivision`.
        training_points: N of the training, in each crop.
        seed: of the training.

    Raises:
        ValueError: for a number out of range.
    """

    iterations: int = 1000
    learning_rate: float = 2e-3
    channels: int = 128
    fine_strides: Sequence[int] | None = None
    picture: int = 3
    num_points: int | float | str = 1 / 16
    training_points: int = 2048
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("iterations", "channels", "training_points"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be > 0, got {self.learning_rate}")


def check_base(config: Config) -> None:
    """Raise ValueError for a model that cannot be retrofitted.

    Args:
        config: of the base.
    """
    model = config.model
    if is_pointrend(model):
        raise ValueError("the base's decode head is a PointRendHead: it has a point head already")
    if type_name(model) != "EncoderDecoder":
        raise ValueError(
            f"model.type must be EncoderDecoder, got {type_name(model)}; for other networks see "
            "docs/retrofit.md, In Python"
        )


def retrofit_config(base: Config, maps: BaseMaps, settings: PointSettings) -> Config:
    """Make the config of a base with a point head.

    Args:
        base: passes `check_base`; it stays as it is.
        maps: what its model computes.
        settings: of the point head and its training.

    Returns:
        a config that depends on no other file: data and pipelines are the base's.

    Raises:
        ValueError: for a stride that no feature map has.
    """
    # A copy whose text is its own: a child of no file.
    config = Config(base.to_dict())
    leave_out_pretrained(config)
    # `update` would merge the two heads.
    config.model.decode_head = _head(config.model, maps, settings)
    config.model.auxiliary_head = None
    config.model.type, config.model.freeze_base = "PointRend", True
    _set_training(config, settings)
    config.test_evaluator = evaluators_with_bands(config)
    imports = config.get("custom_imports") or {}
    config.custom_imports = dict(
        imports=[*dict.fromkeys([*imports.get("imports", ()), *_IMPORTS])],
        allow_failed_imports=False,
    )
    for key in _DROPPED_KEYS:
        config.pop(key, None)
    return config


def _head(model: dict, maps: BaseMaps, settings: PointSettings) -> dict:
    """Put a point head around a base's decode head."""
    coarse = model["decode_head"]
    fine = maps.finest()
    if settings.fine_strides is not None:
        fine = maps.with_strides(settings.fine_strides)
    head = dict(
        type="PointRendHead",
        **{key: coarse[key] for key in _CLASS_KEYS if coarse.get(key) is not None},
        # Frozen, it has no loss.
        coarse_head={
            key: value
            for key, value in coarse.items()
            if key not in (*_CLASS_KEYS, "loss_decode", "sampler")
        },
        point_head=dict(
            in_channels=[features.channels for features in fine],
            in_index=[features.index for features in fine],
            channels=settings.channels,
            num_fcs=3,
        ),
        training_points=dict(num_points=settings.training_points),
        subdivision=dict(
            steps=count_steps(maps.coarse_stride), num_points=settings.num_points, scale_factor=2
        ),
    )
    if settings.picture:
        head["picture"] = dict(kernel_size=settings.picture, in_channels=image_channels(model))
    weights = _class_weights(coarse.get("loss_decode"))
    if weights is not None:
        head["loss_point"] = dict(
            type="CrossEntropyLoss",
            use_sigmoid=coarse.get("out_channels") == 1,
            class_weight=weights,
        )
    return head


def image_channels(model: dict) -> int:
    """Tell how many channels the pictures of a model have, by its config."""
    return model["backbone"].get("in_channels", 3)


def _class_weights(losses: dict | Sequence[dict] | None) -> object:
    """Find the class weights of a decode head's losses: those of the first that has some."""
    losses = [losses] if isinstance(losses, dict) else losses or []
    return next((one["class_weight"] for one in losses if one.get("class_weight")), None)


def _set_training(config: Config, settings: PointSettings) -> None:
    iterations = settings.iterations
    warm_up = max(1, iterations // 20)
    config.optim_wrapper = dict(
        type="OptimWrapper",
        optimizer=dict(type="AdamW", lr=settings.learning_rate, weight_decay=1e-2),
    )
    config.param_scheduler = [
        dict(type="LinearLR", by_epoch=False, start_factor=0.1, begin=0, end=warm_up),
        dict(type="PolyLR", by_epoch=False, eta_min=0, power=0.9, begin=warm_up, end=iterations),
    ]
    # What the retrofit gains is measured by a test, not on the way.
    config.train_cfg = dict(
        type="IterBasedTrainLoop",
        max_iters=iterations,
        val_interval=iterations,
        val_begin=iterations + 1,
    )
    config.train_dataloader.sampler = dict(type="InfiniteSampler", shuffle=True)
    config.log_processor = dict(by_epoch=False)
    config.default_hooks = {
        **(config.get("default_hooks") or {}),
        "logger": dict(
            type="LoggerHook", interval=max(1, min(50, iterations // 20)), log_metric_by_epoch=False
        ),
        "checkpoint": dict(
            type="SafeCheckpointHook",
            by_epoch=False,
            interval=max(1, iterations // 5),
            max_keep_ckpts=1,
        ),
    }
    config.custom_hooks = [
        hook for hook in config.get("custom_hooks") or [] if type_name(hook) not in _DROPPED_HOOKS
    ]
    config.randomness = dict(config.get("randomness") or {}, seed=settings.seed)


def evaluators_with_bands(config: Config) -> list[dict]:
    """List a config's test metrics, with the bands around boundaries among them.

    Raises:
        ValueError: if it has none.
    """
    evaluators = list_evaluators(config)
    if not evaluators:
        raise ValueError("the base's config has no test_evaluator, so nothing could be compared")
    if any(metric_name(evaluator) == "TrimapIoUMetric" for evaluator in evaluators):
        return evaluators
    ignored = ignored_label(evaluators)
    bands = dict(type="TrimapIoUMetric", widths=(2, 4, 8))
    return [*evaluators, bands if ignored is None else dict(bands, ignore_index=ignored)]
