crop_size = (
    128,
    256,
)
custom_hooks = [
    dict(type="LabelCheckHook"),
    dict(type="PlainCheckpointHook"),
]
custom_imports = dict(
    allow_failed_imports=False,
    imports=[
        "mmseg_pointrend.models",
        "mmseg_pointrend.datasets",
        "mmseg_pointrend.evaluation",
        "mmseg_pointrend.engine",
    ],
)
data_root = "data/demo_scenes/"
dataset_type = "DemoScenesDataset"
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=1000, max_keep_ckpts=1, type="CheckpointHook"),
    logger=dict(interval=20, log_metric_by_epoch=False, type="LoggerHook"),
    param_scheduler=dict(type="ParamSchedulerHook"),
    sampler_seed=dict(type="DistSamplerSeedHook"),
    timer=dict(type="IterTimerHook"),
    visualization=dict(type="SegVisualizationHook"),
)
default_scope = "mmseg"
env_cfg = dict(
    cudnn_benchmark=True,
    dist_cfg=dict(backend="nccl"),
    mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0),
)
load_from = None
log_level = "INFO"
log_processor = dict(by_epoch=False)
model = dict(
    backbone=dict(
        base_channels=32,
        depth=18,
        norm_cfg=dict(type="BN"),
        norm_eval=False,
        num_stages=4,
        out_indices=(
            0,
            1,
            2,
            3,
        ),
        stem_channels=32,
        style="pytorch",
        type="ResNet",
    ),
    data_preprocessor=dict(
        bgr_to_rgb=True,
        mean=[
            123.675,
            116.28,
            103.53,
        ],
        pad_val=0,
        seg_pad_val=255,
        size=(
            128,
            256,
        ),
        std=[
            58.395,
            57.12,
            57.375,
        ],
        type="SegDataPreProcessor",
    ),
    decode_head=dict(
        coarse_head=dict(
            channels=64,
            dropout_ratio=0,
            feature_strides=[
                8,
                16,
                32,
            ],
            in_channels=[
                64,
                64,
                64,
            ],
            in_index=[
                1,
                2,
                3,
            ],
            norm_cfg=dict(type="BN"),
            type="FPNHead",
        ),
        num_classes=9,
        point_head=dict(
            channels=64,
            in_channels=[
                64,
            ],
            in_index=[
                0,
            ],
            num_fcs=3,
        ),
        subdivision=dict(num_points=1152, scale_factor=2, steps=3),
        training_points=dict(num_points=1024),
        type="PointRendHead",
    ),
    neck=dict(
        in_channels=[
            32,
            64,
            128,
            256,
        ],
        num_outs=4,
        out_channels=64,
        type="FPN",
    ),
    test_cfg=dict(mode="whole"),
    train_cfg=dict(),
    type="PointRend",
)
optim_wrapper = dict(
    clip_grad=None, optimizer=dict(lr=0.002, type="AdamW", weight_decay=0.01), type="OptimWrapper"
)
param_scheduler = [
    dict(begin=0, by_epoch=False, end=50, start_factor=0.1, type="LinearLR"),
    dict(begin=50, by_epoch=False, end=1000, eta_min=0, power=0.9, type="PolyLR"),
]
resume = False
test_cfg = dict(type="TestLoop")
test_dataloader = dict(
    batch_size=1,
    dataset=dict(
        data_prefix=dict(img_path="leftImg8bit/val", seg_map_path="gtFine/val"),
        data_root="data/demo_scenes/",
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="LoadAnnotations"),
            dict(type="PackSegInputs"),
        ],
        type="DemoScenesDataset",
    ),
    num_workers=0,
    sampler=dict(shuffle=False, type="DefaultSampler"),
)
test_evaluator = [
    dict(
        iou_metrics=[
            "mIoU",
        ],
        type="IoUMetric",
    ),
    dict(
        type="TrimapIoUMetric",
        widths=(
            2,
            4,
            8,
        ),
    ),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="PackSegInputs"),
]
train_cfg = dict(max_iters=1000, type="IterBasedTrainLoop", val_interval=1000)
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        data_prefix=dict(img_path="leftImg8bit/train", seg_map_path="gtFine/train"),
        data_root="data/demo_scenes/",
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="LoadAnnotations"),
            dict(
                cat_max_ratio=0.75,
                crop_size=(
                    128,
                    256,
                ),
                type="RandomCrop",
            ),
            dict(prob=0.5, type="RandomFlip"),
            dict(type="PackSegInputs"),
        ],
        type="DemoScenesDataset",
    ),
    num_workers=0,
    sampler=dict(shuffle=True, type="InfiniteSampler"),
)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(
        cat_max_ratio=0.75,
        crop_size=(
            128,
            256,
        ),
        type="RandomCrop",
    ),
    dict(prob=0.5, type="RandomFlip"),
    dict(type="PackSegInputs"),
]
tta_model = dict(_scope_="mmseg", type="PointRendTTA")
tta_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(
        transforms=[
            [
                dict(keep_ratio=True, scale_factor=0.75, type="Resize"),
                dict(keep_ratio=True, scale_factor=1.0, type="Resize"),
                dict(keep_ratio=True, scale_factor=1.25, type="Resize"),
            ],
            [
                dict(direction="horizontal", prob=0.0, type="RandomFlip"),
                dict(direction="horizontal", prob=1.0, type="RandomFlip"),
            ],
            [
                dict(type="LoadAnnotations"),
            ],
            [
                dict(type="PackSegInputs"),
            ],
        ],
        type="TestTimeAug",
    ),
]
val_cfg = dict(type="ValLoop")
val_dataloader = dict(
    batch_size=1,
    dataset=dict(
        data_prefix=dict(img_path="leftImg8bit/val", seg_map_path="gtFine/val"),
        data_root="data/demo_scenes/",
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="LoadAnnotations"),
            dict(type="PackSegInputs"),
        ],
        type="DemoScenesDataset",
    ),
    num_workers=0,
    sampler=dict(shuffle=False, type="DefaultSampler"),
)
val_evaluator = [
    dict(
        iou_metrics=[
            "mIoU",
        ],
        type="IoUMetric",
    ),
    dict(
        type="TrimapIoUMetric",
        widths=(
            2,
            4,
            8,
        ),
    ),
]
vis_backends = [
    dict(_scope_="mmseg", type="LocalVisBackend"),
]
visualizer = dict(
    _scope_="mmseg",
    name="visualizer",
    type="SegLocalVisualizer",
    vis_backends=[
        dict(type="LocalVisBackend"),
    ],
)
