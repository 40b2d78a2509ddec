"""Weights of another model, found when they are loaded."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.registry import HOOKS
from mmengine.runner import BaseLoop, Runner

from mmseg_pointrend.engine.classifier_weights import backbone_of_classifier, is_classifier
from mmseg_pointrend.engine.sharding import is_sharded, whole_model
from mmseg_pointrend.engine.weights_check import (
    check_fit,
    check_weights,
    describe_fit,
    fit_weights,
    unwrap,
    weights_of,
)


@HOOKS.register_module()
class WeightsCheckHook(Hook):
    """Compare a loaded checkpoint with the model.

    mmengine sets what fits, lists the rest in a warning and goes on with random weights. A training
    may start from a ResNet of torchvision or timm: it becomes the backbone.

    Args:
        allow_unset: go on although a tested or resumed model keeps initial values. A training that
            starts from `load_from` always may; it says in one line what was loaded.
    """

    def __init__(self, allow_unset: bool = False) -> None:
        self.allow_unset = allow_unset

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Compare.

        Raises:
            ValueError: for weights that are not finite, or leave some unset that are needed, or a
                classifier that is not the backbone.
        """
        name = runner.cfg.get("load_from") or runner.work_dir
        if is_sharded(runner):
            # mmengine 0.10.7 takes no checkpoint of weights alone then.
            checkpoint.setdefault("state_dict", dict(checkpoint))
        weights = weights_of(checkpoint)
        check_weights(name, weights)
        training = isinstance(runner._train_loop, BaseLoop)
        starting, model = training and not runner._resume, whole_model(runner)
        if starting and is_classifier(weights):
            weights = backbone_of_classifier(name, weights, unwrap(model).state_dict())
            checkpoint["state_dict"] = weights  # which mmengine goes on with
        fit = fit_weights(model, weights)
        if starting:
            print_log(f"Weights from {name}: {describe_fit(fit)}", "current")
            return
        if not self.allow_unset:
            check_fit(name, fit if training else fit.for_prediction())
