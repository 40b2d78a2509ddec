"""Which parts of a segmentor are divided among processes by themselves."""

from mmengine.registry import FUNCTIONS
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import nn
from torch.distributed.fsdp.wrap import size_based_auto_wrap_policy

from mmseg_pointrend.models.pointrend_head import PointRendHead

#: Their parts are not always called as modules: the head's `loss`, the rows of points.
_HEADS: set[type[nn.Module]] = {BaseDecodeHead, PointRendHead}


@FUNCTIONS.register_module()
def large_parts_of_backbones(
    module: nn.Module, recurse: bool, nonwrapped_numel: int, min_num_params: int = 5_000_000
) -> bool:
    """Let torch's FSDP gather the weights of a backbone and a neck part by part.

    An `auto_wrap_policy` of `MMFullyShardedDataParallel`. FSDP gathers the weights of a part when
    it is called. Heads are asked for losses and points instead; they stay with the whole model.

    Args:
        module: the part in question.
        recurse: whether the question is if parts of the part may be gathered by themselves.
        nonwrapped_numel: its parameters that no smaller part has.
        min_num_params: gather parts by themselves from so many parameters on.
    """
    return size_based_auto_wrap_policy(
        module,
        recurse,
        nonwrapped_numel,
        min_num_params,
        force_leaf_modules={*_HEADS, nn.MultiheadAttention},
        exclude_wrap_modules={*_HEADS, nn.ModuleList, nn.ModuleDict},
    )
