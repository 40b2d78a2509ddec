# UPerNet on Swin-T and PointRend: fine-grained features from the first stage.
_base_ = "mmseg::_base_/models/upernet_swin.py"
model = dict(
    type="PointRend",
    backbone=dict(
        init_cfg=dict(
            type="Pretrained",
            checkpoint="https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/swin/swin_tiny_patch4_window7_224_20220317-1cdeb081.pth",
        )
    ),
    decode_head=dict(
        _delete_=True,
        type="PointRendHead",
        num_classes=19,
        coarse_head=dict(
            type="UPerHead",
            in_channels=[96, 192, 384, 768],
            in_index=[0, 1, 2, 3],
            pool_scales=(1, 2, 3, 6),
            channels=512,
            dropout_ratio=0.1,
            norm_cfg=dict(type="SyncBN", requires_grad=True),
        ),
        point_head=dict(in_channels=[96], in_index=[0], channels=256, num_fcs=3),
        training_points=dict(num_points=2048),
        # From stride 4 to the input.
        subdivision=dict(steps=2, num_points="stride-16", scale_factor=2),
    ),
)
