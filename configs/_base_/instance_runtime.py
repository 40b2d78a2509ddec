# mmdet's runtime, plus this project's heads, data sets and metrics for it. The tools add the hooks
# of configs/_base_/pointrend_runtime.py.
_base_ = "mmdet::_base_/default_runtime.py"
custom_imports = dict(imports=["mmseg_pointrend.instance"], allow_failed_imports=False)
