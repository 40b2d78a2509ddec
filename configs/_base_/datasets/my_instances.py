# Your own instances in COCO's form, masks as polygons, run lengths or pictures; all else is COCO's.
_base_ = "mmdet::_base_/datasets/coco_instance.py"
data_root = "data/my_instances/"
# Classes are those of the annotation file; name them to choose some: metainfo=dict(classes=(...)).
my_data = dict(type="InstanceDataset", data_root=data_root)
train = dict(ann_file="train.json", data_prefix=dict(img="images/train/"))
val = dict(ann_file="val.json", data_prefix=dict(img="images/val/"))
train_dataloader = dict(dataset=dict(**my_data, **train))
val_dataloader = dict(dataset=dict(**my_data, **val))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type="InstanceMaskMetric", ann_file=data_root + "val.json")
test_evaluator = val_evaluator
