"""What tells predictions of one model from those of another."""

import json

import torch
from mmengine.config import ConfigDict
from torch import nn

from mmseg_pointrend.inference.record import Record, checksum_of_settings, checksum_of_weights

RECORD = Record("config.py", "0" * 64, "1" * 64, (9, 9), (3, 3), True, "/pictures")


def test_a_record_that_was_read_is_the_same() -> None:
    read = json.loads(RECORD.text())
    assert RECORD.differences(read) == []
    assert RECORD.differences(dict(read, config="elsewhere.py")) == []
    assert RECORD.differences(dict(read, pictures="/other")) == [
        'pictures was "/other", is "/pictures"'
    ]
    assert RECORD.differences({})[0] == "settings was null, is 00000000..."
    other = Record("config.py", "0" * 64, "1" * 64, (9, 9), (3, 4), True, "/pictures")
    moved = Record("elsewhere.py", "0" * 64, "1" * 64, (9, 9), (3, 3), True, "/pictures")
    assert RECORD.digest() == moved.digest() != other.digest()


def test_weights_are_told_apart_and_nothing_else() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    before = checksum_of_weights(model)
    assert checksum_of_weights(model.eval()) == before
    with torch.no_grad():
        model[1].running_mean[0] += 1e-6
    assert checksum_of_weights(model) != before
    assert checksum_of_weights(model.half()) != before
    assert checksum_of_weights(model.bfloat16()) != before


def test_settings_are_told_apart() -> None:
    """Classes count by their names; a machine without a GPU has BN for SyncBN."""
    model = dict(type="PointRend", decode_head=dict(norm_cfg=dict(type="SyncBN")), train_cfg={})
    plain = checksum_of_settings(ConfigDict(model), [dict(type=nn.Linear)])
    other = dict(model, decode_head=dict(norm_cfg=dict(type="BN")), train_cfg=dict(a=1))
    assert checksum_of_settings(ConfigDict(other), [dict(type=nn.Linear)]) == plain
    assert checksum_of_settings(ConfigDict(model), [dict(type=nn.Conv2d)]) != plain
    model["decode_head"]["threshold"] = 0.4
    assert checksum_of_settings(ConfigDict(model), [dict(type=nn.Linear)]) != plain
