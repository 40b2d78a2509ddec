# mmsegmentation's runtime, plus this project's classes and hooks.
_base_ = "mmseg::_base_/default_runtime.py"

custom_imports = dict(
    imports=[
        "mmseg_pointrend.models",
        "mmseg_pointrend.datasets",
        "mmseg_pointrend.evaluation",
        "mmseg_pointrend.engine",
        "mmseg_pointrend.pages",
    ],
    allow_failed_imports=False,
)

custom_hooks = [
    # Stops before the first iteration at a label outside the classes, and names the file.
    dict(type="LabelCheckHook"),
    # Keeps checkpoints loadable with torch.load(weights_only=True).
    dict(type="PlainCheckpointHook"),
    # Compares a checkpoint with the model.
    dict(type="WeightsCheckHook"),
    # A resumed training follows this config, and is the one that was not interrupted.
    dict(type="ResumeHook"),
    dict(type="RepeatableHook"),
    # On SIGTERM and Ctrl-C: finishes the iteration, saves, says how to go on.
    dict(type="InterruptionHook"),
]

# One view's logits at a time instead of those of all; for every EncoderDecoder.
tta_model = dict(type="PointRendTTA")
