# COCO as in the paper (App. A) and in mmdet's PointRend: shorter sides from 640 to 800 pixels.
_base_ = "mmdet::_base_/datasets/coco_instance.py"
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True, with_mask=True),
    dict(
        type="RandomChoiceResize",
        scales=[(1333, side) for side in range(640, 801, 32)],
        keep_ratio=True,
    ),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackDetInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
# Beside mask AP a test gives Boundary AP; with lvis_ann_file=".../lvis_v1_val.json" AP* as well.
test_evaluator = dict(type="InstanceMaskMetric", metric=["bbox", "segm", "boundary"])
