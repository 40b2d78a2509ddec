# SegFormer-B0 and PointRend: fine-grained features from the first stage.
_base_ = "mmseg::_base_/models/segformer_mit-b0.py"
model = dict(
    type="PointRend",
    backbone=dict(
        init_cfg=dict(
            type="Pretrained",
            checkpoint="https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segformer/mit_b0_20220624-7e0fe6dd.pth",
        )
    ),
    decode_head=dict(
        _delete_=True,
        type="PointRendHead",
        num_classes=19,
        # The head of the base as it is; PointRendHead hands on the classes.
        coarse_head={
            key: value
            for key, value in _base_.model.decode_head.items()
            if key not in ("num_classes", "loss_decode")
        },
        point_head=dict(in_channels=[32], in_index=[0], channels=256, num_fcs=3),
        training_points=dict(num_points=2048),
        # From stride 4 to the input.
        subdivision=dict(steps=2, num_points="stride-16", scale_factor=2),
    ),
)
