"""CamVid as SegNet's authors publish it: 360x480, eleven classes, 11 = void."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from mmseg_pointrend.lab.espnet.network import normalized

CLASSES, VOID = 11, 11


class CamVidPictures(Dataset):
    """Pictures, (3, H, W) as ESPNet takes them, and (H, W) labels.

    Args:
        root: folder with `<split>/` and `<split>annot/`, PNG files of equal names.
        split: "train", "val" or "test".

    Raises:
        FileNotFoundError: if there are no pictures.
    """

    def __init__(self, root: str | Path, split: str) -> None:
        self._folders = [Path(root) / split, Path(root) / f"{split}annot"]
        self._names = sorted(path.name for path in self._folders[0].glob("*.png"))
        if not self._names:
            raise FileNotFoundError(f"there are no PNG files in {self._folders[0]}")

    def __len__(self) -> int:
        """Tell the number of pictures."""
        return len(self._names)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Read a picture and its labels."""
        name = self._names[index]
        picture, labels = (
            torch.from_numpy(np.array(Image.open(folder / name).convert(mode)))
            for folder, mode in zip(self._folders, ("RGB", "L"), strict=True)
        )
        return normalized(picture.permute(2, 0, 1)[None].float())[0], labels.long()

    def class_weights(self) -> list[float]:
        """Weigh classes as ESPNet was trained: 1 / ln(1.10 + share), shares counted with void."""
        counts = torch.zeros(CLASSES + 1)
        for _, labels in self:
            counts += torch.bincount(labels.flatten(), minlength=CLASSES + 1)[: CLASSES + 1]
        return (1 / (1.10 + counts / counts.sum()).log())[:CLASSES].tolist()
