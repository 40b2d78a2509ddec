# The processes share parameters, gradients and optimizer states of one model (torch's FSDP).
_base_ = "./pointrend_r101_4xb2-80k_cityscapes-512x1024.py"
runner_type = "FlexibleRunner"
strategy = dict(
    type="FSDPStrategy",
    model_wrapper=dict(
        type="MMFullyShardedDataParallel",
        # Their weights are gathered when they are called, those of the rest for the whole step.
        auto_wrap_policy=dict(type="large_parts_of_backbones", min_num_params=5_000_000),
    ),
)
