"""What compiled code stores, read from code of known shapes and from the compiler's own."""

import pytest
import torch
from torch import Tensor

from mmseg_pointrend.lab.counting.compiled_storage import (
    CompiledStorage,
    compiled_storage,
    read_storage,
)

CODE = """
    buf0 = empty_strided_cpu((1, 4, 8), (32, 8, 1), torch.float32)
    cpp_fused_add_0(arg0_1, buf0)
    buf1 = empty_strided_cpu((1, 8), (8, 1), torch.int64)
    buf2 = buf0; del buf0  # reuse
    cpp_fused_mul_1(buf2, buf1)
    buf3 = reinterpret_tensor(buf2, (2, 8), (8, 1), 0); del buf2  # reuse
    return (buf3, buf1, )
"""


def test_buffers_and_what_takes_their_place() -> None:
    # 128 bytes, 64, 128 in the place of the first, 64 in that of the third.
    assert read_storage(CODE) == CompiledStorage(stored=384, allocated=192, largest=128)
    assert read_storage("") == CompiledStorage(0, 0, 0)


@pytest.mark.slow
def test_what_the_compiler_fuses_is_not_stored() -> None:
    """The margin of two classes, and its mean over all pixels, of 2 x 2 MiB of logits."""

    def margin(logits: Tensor) -> Tensor:
        best = logits.amax(1, keepdim=True)
        return (best - logits).sum(1)

    logits = torch.randn(1, 2, 512, 1024)
    found = compiled_storage(margin, logits)
    assert found.largest == found.allocated == found.stored == 512 * 1024 * 4
