# The paper's data for DeepLabV3 (App. B): 16 images in a batch, scaled by 0.5 to 2, cropped to
# 768x768 and flipped, nothing else. (Its sizes go in steps of 32 pixels; here in steps of one.)
_base_ = "mmseg::_base_/datasets/cityscapes.py"
crop_size = (768, 768)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="RandomResize", scale=(2048, 1024), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type="RandomCrop", crop_size=crop_size),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackSegInputs"),
]
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=train_pipeline))
