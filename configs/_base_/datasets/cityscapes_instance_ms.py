# Cityscapes as in the paper (App. A): shorter sides from 800 to 1024 pixels. mmdet writes the
# annotation files: tools/dataset_converters/cityscapes.py.
_base_ = "mmdet::_base_/datasets/cityscapes_instance.py"
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True, with_mask=True),
    dict(
        type="RandomChoiceResize",
        scales=[(2048, side) for side in range(800, 1025, 32)],
        keep_ratio=True,
    ),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackDetInputs"),
]
train_dataloader = dict(
    sampler=dict(type="InfiniteSampler"),
    dataset=dict(times=1, dataset=dict(pipeline=train_pipeline)),
)
