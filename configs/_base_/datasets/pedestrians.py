# Penn-Fudan (Wang et al., ACCV 2007) in COCO's form: 128 and 42 photographs, 312 and 111
# pedestrians, hand-made masks as run lengths. Longer sides are made 288 pixels; masks are measured
# at the photographs' own size. docs/reproduce.md says where the data come from.
_base_ = "./demo_scenes_instance.py"
data_root = "data/pedestrians/"
my_data = dict(
    type="InstanceDataset",
    data_root=data_root,
    metainfo=dict(classes=("pedestrian",), palette=[(220, 20, 60)]),
)
resize = dict(type="Resize", scale=(288, 288), keep_ratio=True)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True, with_mask=True),
    resize,
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    resize,
    dict(
        type="PackDetInputs",
        meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
    ),
]
train_dataloader = dict(dataset=dict(**my_data, ann_file="train.json", pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**my_data, ann_file="val.json", pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(ann_file=data_root + "val.json")
test_evaluator = val_evaluator
