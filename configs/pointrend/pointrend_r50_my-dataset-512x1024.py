# Your own data: copy this file, change the names; docs/custom_dataset.md explains every line.
_base_ = "./pointrend_r50_4xb2-80k_cityscapes-512x1024.py"

classes = ("background", "crack")
my_data = dict(
    type="BaseSegDataset",
    data_root="data/my_dataset",
    metainfo=dict(classes=classes, palette=[(0, 0, 0), (255, 80, 0)]),
    img_suffix=".jpg",
    seg_map_suffix=".png",
)
train_dataloader = dict(
    dataset=dict(**my_data, data_prefix=dict(img_path="images/train", seg_map_path="labels/train"))
)
val_dataloader = dict(
    dataset=dict(**my_data, data_prefix=dict(img_path="images/val", seg_map_path="labels/val"))
)
test_dataloader = val_dataloader

# One logit tells two classes apart; for three classes and more, leave out_channels out.
model = dict(decode_head=dict(num_classes=len(classes), out_channels=1))
