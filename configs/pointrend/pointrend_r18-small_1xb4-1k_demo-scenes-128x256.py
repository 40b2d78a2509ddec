# PointRend on the busy scenes of the ablations: the model of the demo.
_base_ = [
    "../_base_/models/pointrend_fpn_r18_small.py",
    "../_base_/datasets/demo_scenes.py",
    "../_base_/schedules/schedule_1k.py",
    "../_base_/pointrend_runtime.py",
]
model = dict(
    data_preprocessor=dict(size=(128, 256)),
    decode_head=dict(
        num_classes=9,
        # N: eight times the points of a crop's stride-16 map, where the paper takes them once: in
        # 1000 iterations the point head sees few points as it is.
        training_points=dict(num_points=1024),
        # N: the points of the stride-8 map of a scene; these small pictures are full of boundaries.
        subdivision=dict(num_points=1152),
    ),
)
