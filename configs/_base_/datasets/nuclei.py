# Data Science Bowl 2018 (Caicedo et al., Nature Methods 2019) in COCO's form: 75 and 25 pictures of
# 256x256 to 360x360 with 1491 and 494 nuclei, masks as run lengths. Pictures stay as they are.
# docs/reproduce.md says where the data come from.
_base_ = "./demo_scenes_instance.py"
data_root = "data/nuclei/"
my_data = dict(
    type="InstanceDataset",
    data_root=data_root,
    metainfo=dict(classes=("nucleus",), palette=[(220, 20, 60)]),
)
train_dataloader = dict(dataset=dict(**my_data, ann_file="train.json"))
val_dataloader = dict(dataset=dict(**my_data, ann_file="val.json"))
test_dataloader = val_dataloader

val_evaluator = dict(ann_file=data_root + "val.json")
test_evaluator = val_evaluator
