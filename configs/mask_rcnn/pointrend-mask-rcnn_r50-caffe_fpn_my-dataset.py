# Your own data in COCO's form: copy this file, change the names.
_base_ = "./pointrend-mask-rcnn_r50-caffe_fpn_ms-1x_coco.py"

classes = ("scratch", "dent")  # as the annotation files have them, in their order
data_root = "data/my_dataset/"
my_data = dict(type="InstanceDataset", data_root=data_root, metainfo=dict(classes=classes))
train = dict(ann_file="train.json", data_prefix=dict(img="images/train/"))
val = dict(ann_file="val.json", data_prefix=dict(img="images/val/"))
train_dataloader = dict(dataset=dict(**my_data, **train))
val_dataloader = dict(dataset=dict(**my_data, **val))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + "val.json")
test_evaluator = val_evaluator

model = dict(roi_head=dict(bbox_head=dict(num_classes=len(classes))))
