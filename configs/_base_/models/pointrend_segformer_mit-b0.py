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
        coarse_head=dict(
            type="SegformerHead",
            in_channels=[32, 64, 160, 256],
            in_index=[0, 1, 2, 3],
            channels=256,
            dropout_ratio=0.1,
            norm_cfg=dict(type="SyncBN", requires_grad=True),
        ),
        point_head=dict(in_channels=[32], in_index=[0], channels=256, num_fcs=3),
        training_points=dict(num_points=2048),
        # From stride 4 to the input.
        subdivision=dict(steps=2, num_points="stride-16", scale_factor=2),
    ),
)
