# Close-ups of the generated scenes with the masks of their things, 192x384: PNG files and COCO
# annotations.
dataset_type = "CocoDataset"
data_root = "data/demo_scenes_instance/"
classes = ("person", "car", "pole", "fence", "plant")
palette = [(220, 20, 60), (0, 0, 142), (153, 153, 153), (190, 153, 153), (107, 142, 35)]
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True, with_mask=True),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    # Pictures stay as they are; mmdet's heads ask for the factor.
    dict(type="Resize", scale_factor=1.0, keep_ratio=True),
    dict(
        type="PackDetInputs",
        meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
    ),
]
# Files this small are read faster than a second process could hand them over.
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=dict(classes=classes, palette=palette),
        ann_file="annotations/instances_train.json",
        data_prefix=dict(img="train/"),
        filter_cfg=dict(filter_empty_gt=False),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=dict(classes=classes, palette=palette),
        ann_file="annotations/instances_val.json",
        data_prefix=dict(img="val/"),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(
    type="InstanceMaskMetric", ann_file=data_root + "annotations/instances_val.json"
)
test_evaluator = val_evaluator
