"""What is different for semantic and for instance segmentation; which of them a config is.

Everything else of `apis` is the same for both.
"""

from abc import ABC, abstractmethod
from pathlib import Path

from mmengine.config import Config

from mmseg_pointrend.compat.versions import check_mmdet

#: Hooks that every training should have, whatever a config says of `custom_hooks`.
SAFETY_HOOKS = (
    "PlainCheckpointHook",
    "WeightsCheckHook",
    "ResumeHook",
    "RepeatableHook",
    "InterruptionHook",
)


class Task(ABC):
    """What a config's models predict, and what follows from it.

    Attributes:
        title: what it is called.
        scope: of the registries that its parts come from, `default_scope`.
        data_hooks: hooks that look after its data, besides `SAFETY_HOOKS`.
    """

    title: str
    scope: str
    data_hooks: tuple[str, ...]

    @abstractmethod
    def check_data(self, config: Config, split: str) -> None:
        """Find missing and empty data folders, lists of files and class names.

        Args:
            config: the whole config.
            split: "train", "val" or "test".

        Raises:
            FileNotFoundError: if a folder or list does not exist.
            ValueError: if there are no images in it, or for classes that do not fit.
        """

    @abstractmethod
    def prepare_test(
        self, config: Config, out: str | Path | None, show_dir: str | Path | None, tta: bool
    ) -> None:
        """Let a config's test write what it predicts, augment, and measure what there is.

        Args:
            config: the whole config; changed in place.
            out: folder for predictions; None: they are not written.
            show_dir: folder for painted pictures; None: they are not written.
            tta: test-time augmentation.

        Raises:
            ValueError: for what the config's models cannot do, or nothing to measure.
        """


def task_of(config: Config) -> Task:
    """Tell what a config's models predict, by its `default_scope`.

    Raises:
        ImportError: if it is mmdet's, and mmdet is missing.
    """
    if config.get("default_scope") == "mmdet":
        check_mmdet()
        from mmseg_pointrend.apis.tasks.instance import InstanceSegmentation

        return InstanceSegmentation()
    from mmseg_pointrend.apis.tasks.semantic import SemanticSegmentation

    return SemanticSegmentation()


def refuse_instances(config: Config, what: str) -> None:
    """Raise ValueError for a config of instance segmentation.

    Args:
        config: the whole config.
        what: cannot be done with it, such as "draws training points".
    """
    if config.get("default_scope") == "mmdet":
        raise ValueError(
            f"{what} takes configs of semantic segmentation (default_scope='mmseg'), got one of "
            "instance segmentation (default_scope='mmdet')"
        )
