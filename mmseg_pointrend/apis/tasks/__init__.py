"""What is different for semantic and for instance segmentation; which of them a config is.

Everything else of `apis` is the same for both.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config
from torch import nn

from mmseg_pointrend.compat.versions import check_mmdet
from mmseg_pointrend.inference.folder import Wanted
from mmseg_pointrend.inference.instances import WantedObjects
from mmseg_pointrend.inference.job import JobSettings

#: Hooks that every training should have, whatever a config says of `custom_hooks`.
SAFETY_HOOKS = (
    "PlainCheckpointHook",
    "WeightsCheckHook",
    "ResumeHook",
    "RepeatableHook",
    "InterruptionHook",
)


@dataclass(frozen=True)
class Files:
    """What is asked for of predictions of files.

    Attributes:
        colored: put colours into label maps.
        confidence: write how sure each pixel's label is.
        overlays: write painted pictures.
        score: objects that are less sure are left out; None: as the task has it.
    """

    colored: bool = True
    confidence: bool = False
    overlays: bool = False
    score: float | None = None


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

    @abstractmethod
    def check_prediction(self, settings: JobSettings, files: Files) -> None:
        """Raise ValueError for what predictions of files do not have.

        Args:
            settings: how the job predicts.
            files: what it is to write.
        """

    @abstractmethod
    def is_pointrend(self, model: dict) -> bool:
        """Whether a model's config has PointRend where such models have it.

        Args:
            model: the model's part of a config.
        """

    @abstractmethod
    def class_names(self, config: Config, model: nn.Module) -> list[str]:
        """Name a model's classes, by their numbers where the config's test data have no names.

        Args:
            config: the whole config.
            model: built.
        """

    @abstractmethod
    def wanted(self, config: Config, model: nn.Module, files: Files) -> Wanted | WantedObjects:
        """Say what a job predicts and writes.

        Args:
            config: the whole config.
            model: built, with its weights.
            files: what is asked for.
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
