# What mmsegmentation's Swin and SegFormer configs train with: AdamW, and no weight decay for
# normalisations and embeddings of positions.
_base_ = "mmseg::_base_/schedules/schedule_160k.py"
optim_wrapper = dict(
    _delete_=True,
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(
        custom_keys=dict(
            absolute_pos_embed=dict(decay_mult=0.0),
            relative_position_bias_table=dict(decay_mult=0.0),
            pos_block=dict(decay_mult=0.0),
            norm=dict(decay_mult=0.0),
        )
    ),
)
param_scheduler = [
    dict(type="LinearLR", by_epoch=False, start_factor=1e-6, begin=0, end=1500),
    dict(type="PolyLR", eta_min=0, power=1.0, begin=1500, end=160000, by_epoch=False),
]
