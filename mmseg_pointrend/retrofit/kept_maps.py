"""The maps of pictures, computed once: a frozen network gives the same ones every time."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from mmseg_pointrend.core import Neighborhood
from mmseg_pointrend.retrofit.retrofit import FineMap, Maps, Retrofit, changed


class KeptMaps(Dataset):
    """A data set of the maps of pictures, in place of the pictures: for `HeadTraining`.

    To compute them takes most of the time of an iteration, but what is kept cannot be changed:
    pictures are not flipped or cropped anew each time. A picture takes as many bytes as its maps
    have numbers, times two in half precision. The pictures must be of one size.

    Args:
        model: whose network computes them, where it is; they are kept on the CPU.
        pictures: (3, H, W) images and their (H, W) labels.
        dtype: of the fine-grained maps that are kept; coarse logits stay as they are.

    Example:
        >>> network = torch.nn.Conv2d(3, 2, 4, stride=4)
        >>> read_maps = lambda network, images: (network(images), [images])
        >>> model = Retrofit(network, read_maps, torch.zeros(1, 3, 32, 32))
        >>> kept = KeptMaps(model, [(torch.randn(3, 32, 32), torch.zeros(32, 32).long())])
        >>> batches = torch.utils.data.DataLoader(kept, collate_fn=kept.collate)
        >>> HeadTraining(model, TrainingSettings(iterations=2)).run(batches, report=None)
    """

    def __init__(
        self,
        model: Retrofit,
        pictures: Iterable[tuple[Tensor, Tensor]],
        dtype: torch.dtype = torch.float16,
    ) -> None:
        device = next(model.network.parameters()).device
        self._items: list[tuple[Maps, Tensor]] = []
        for image, labels in pictures:
            coarse, fine = model.maps(image[None].to(device))
            kept = Maps(coarse, [changed(one, lambda values: values.to(dtype)) for one in fine])
            self._items.append((kept.to("cpu"), labels))

    def __len__(self) -> int:
        """Tell the number of pictures."""
        return len(self._items)

    def __getitem__(self, index: int) -> tuple[Maps, Tensor]:
        """Give the maps, N = 1, and the (H, W) labels of a picture."""
        return self._items[index]

    @staticmethod
    def collate(items: Sequence[tuple[Maps, Tensor]]) -> tuple[Maps, Tensor]:
        """Put pictures together to a batch, in single precision; a `DataLoader`'s `collate_fn`."""
        maps, labels = zip(*items, strict=True)
        coarse = torch.cat([one.coarse for one in maps])
        fine = [_joined(same) for same in zip(*(one.fine for one in maps), strict=True)]
        return Maps(coarse, fine), torch.stack(labels)


def _joined(maps: Sequence[FineMap]) -> FineMap:
    """Put the same map of several pictures together."""
    first = maps[0]
    values = [one.maps if isinstance(one, Neighborhood) else one for one in maps]
    joined = torch.cat(values).float()
    return Neighborhood(joined, first.kernel_size) if isinstance(first, Neighborhood) else joined
