"""What a config says of its test metrics, however it says it."""

from mmengine.config import Config


def list_evaluators(config: Config, split: str = "test") -> list[dict]:
    """List the configs of a split's evaluator: one, several or none."""
    found = config.get(f"{split}_evaluator") or []
    return list(found) if isinstance(found, list | tuple) else [found]


def metric_name(evaluator: dict) -> str | None:
    """Name a metric without its scope or module; its type may be the class itself, too."""
    found = evaluator.get("type")
    return found.__name__ if isinstance(found, type) else found and found.rpartition(".")[2]


def ignored_label(evaluators: list[dict]) -> int | None:
    """Find the first `ignore_index` that a metric is given; None if there is none."""
    return next((part["ignore_index"] for part in evaluators if "ignore_index" in part), None)
