# The generated scenes of the demo, calm streets of 256x512: as the busy ones, in another folder.
_base_ = "./demo_scenes.py"
data_root = "data/calm_scenes/"
crop_size = (128, 256)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    # Houses and roads are large: without them there is more to learn in 1000 iterations.
    dict(type="RandomCrop", crop_size=crop_size, cat_max_ratio=0.5),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackSegInputs"),
]
train_dataloader = dict(
    dataset=dict(type="CalmScenesDataset", data_root=data_root, pipeline=train_pipeline)
)
val_dataloader = dict(dataset=dict(type="CalmScenesDataset", data_root=data_root))
test_dataloader = val_dataloader
