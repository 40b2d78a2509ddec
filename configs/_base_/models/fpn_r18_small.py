# SemanticFPN P3-P5 (paper, Table 7: output stride 8), small enough for two CPU cores: half the
# channels of R-18, from random weights.
model = dict(
    type="EncoderDecoder",
    data_preprocessor=dict(
        type="SegDataPreProcessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
    ),
    backbone=dict(
        type="ResNet",
        depth=18,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        stem_channels=32,
        base_channels=32,
        norm_cfg=dict(type="BN"),
        norm_eval=False,
        style="pytorch",
    ),
    neck=dict(type="FPN", in_channels=[32, 64, 128, 256], out_channels=64, num_outs=4),
    decode_head=dict(
        type="FPNHead",
        in_channels=[64, 64, 64],
        in_index=[1, 2, 3],
        feature_strides=[8, 16, 32],
        channels=64,
        dropout_ratio=0,
        num_classes=19,
        norm_cfg=dict(type="BN"),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)
