# Blood vessels in pictures of the retina: slide inference, one logit for two classes.
_base_ = [
    "../_base_/models/pointrend_fcn_unet-s5-d16.py",
    "mmseg::_base_/datasets/chase_db1.py",
    "../_base_/schedules/schedule_40k.py",
    "../_base_/pointrend_runtime.py",
]
model = dict(data_preprocessor=dict(size=(128, 128)))
