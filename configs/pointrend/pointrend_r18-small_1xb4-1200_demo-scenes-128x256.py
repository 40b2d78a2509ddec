# The model of `make demo`.
_base_ = [
    "../_base_/models/pointrend_fpn_r18_small.py",
    "../_base_/datasets/demo_scenes.py",
    "../_base_/schedules/schedule_1200.py",
    "../_base_/pointrend_runtime.py",
]
model = dict(
    data_preprocessor=dict(size=(128, 256)),
    decode_head=dict(
        num_classes=9,
        # Four times the points of the stride-16 map: a short training sees few points otherwise.
        training_points=dict(num_points=512),
        # Four times the points of the stride-16 map of a 192x384 scene.
        subdivision=dict(num_points=1152),
    ),
)
