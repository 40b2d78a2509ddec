# The small Mask R-CNN with PointRend (paper, sec. 4) in place of the mask head.
_base_ = "./mask-rcnn_r18_small.py"
model = dict(
    roi_head=dict(
        type="PointRendStandardRoIHead",
        # PointRend reads features at points by itself.
        mask_roi_extractor=None,
        mask_head=dict(
            _delete_=True,
            type="PointRendMaskHead",
            coarse_head=dict(in_channels=64, conv_out_channels=64, fc_out_channels=256),
            point_head=dict(in_channels=64, channels=64),
            # 14x14 points of a box.
            training_points=dict(num_points=196),
            # From 7x7 to 224x224, 28x28 points of each grid.
            subdivision=dict(steps=5, num_points=784),
        ),
    )
)
