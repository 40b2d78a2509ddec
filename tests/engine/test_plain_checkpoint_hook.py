"""Real runs on the CPU that are saved, resumed and compared with uninterrupted ones."""

import uuid

import numpy as np
import pytest
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mmseg_pointrend.compat.checkpoints import UnsafeCheckpointError
from mmseg_pointrend.engine import PlainCheckpointHook
from mmseg_pointrend.engine import plain_checkpoint_hook as module


class Line(Dataset):
    """Six points of y = 2 x + 1."""

    metainfo = dict(classes=("a", "b"), palette=np.array([[0, 0, 0], [9, 9, 9]], dtype=np.uint8))

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> dict:
        x = torch.tensor([float(index)]) / 6
        return dict(inputs=x, data_samples=2 * x + 1)


class Fit(BaseModel):
    """A line with BatchNorm and dropout-like noise, so that the state is more than two numbers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(1, 4), torch.nn.BatchNorm1d(4), torch.nn.ReLU(), torch.nn.Linear(4, 1)
        )

    def forward(self, inputs, data_samples=None, mode="tensor"):
        predicted = self.layers(torch.stack(list(inputs)))
        if mode == "loss":
            return dict(loss=(predicted - torch.stack(list(data_samples))).square().mean())
        return predicted


class Score(BaseMetric):
    """Returns numpy scalars, as mmseg's IoUMetric does."""

    def process(self, data_batch, data_samples):
        self.results.append(1)

    def compute_metrics(self, results):
        return dict(mIoU=np.float64(12.5), aAcc=np.round(np.float32(50.0), 2))


def make_runner(work_dir, max_iters: int, hooks=(), **settings) -> Runner:
    """Return a runner as a new process would have it: with a message hub of its own."""
    loader = dict(
        batch_size=2,
        num_workers=0,
        dataset=Line(),
        sampler=dict(type="InfiniteSampler", shuffle=False),
        collate_fn=dict(type="pseudo_collate"),
    )
    return Runner(
        model=Fit(),
        work_dir=str(work_dir),
        train_dataloader=loader,
        train_cfg=dict(type="IterBasedTrainLoop", max_iters=max_iters, val_interval=3),
        val_dataloader={**loader, "sampler": dict(type="DefaultSampler", shuffle=False)},
        val_cfg=dict(),
        val_evaluator=Evaluator(Score()),
        optim_wrapper=dict(optimizer=dict(type="AdamW", lr=0.01)),
        param_scheduler=dict(type="PolyLR", begin=0, end=6, by_epoch=False),
        default_hooks=dict(
            checkpoint=dict(
                type="CheckpointHook",
                interval=3,
                by_epoch=False,
                save_best="mIoU",
                max_keep_ckpts=2,
            ),
            logger=dict(type="LoggerHook", interval=1),
        ),
        custom_hooks=list(hooks),
        default_scope="mmseg",
        randomness=dict(seed=1),
        experiment_name=uuid.uuid4().hex,
        **settings,
    )


def saved(path) -> dict:
    return torch.load(path, map_location="cpu", weights_only=True)


def history(hub: MessageHub) -> dict:
    """Return the log without what depends on the clock or the machine."""
    return {
        name: [part.tolist() for part in buffer.data]
        for name, buffer in hub.log_scalars.items()
        if "time" not in name and "memory" not in name
    }


@pytest.fixture
def warnings_logged(monkeypatch):
    logged = []
    monkeypatch.setattr(module, "print_log", lambda text, logger, level: logged.append(text))
    return logged


def test_without_the_hook_a_run_cannot_be_resumed(tmp_path):
    make_runner(tmp_path, 3).train()
    with pytest.raises(UnsafeCheckpointError, match="HistoryBuffer"):
        make_runner(tmp_path, 6, resume=True).train()


@pytest.mark.parametrize("ema", [False, True], ids=["", "with EMAHook"])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, ema):
    def hooks():
        return [PlainCheckpointHook(), *([dict(type="EMAHook")] if ema else [])]

    whole = make_runner(tmp_path / "whole", 6, hooks())
    whole.train()

    make_runner(tmp_path / "parts", 3, hooks()).train()
    resumed = make_runner(tmp_path / "parts", 6, hooks(), resume=True)
    resumed.train()

    expected = saved(tmp_path / "whole" / "iter_6.pth")
    actual = saved(tmp_path / "parts" / "iter_6.pth")
    for section in ("state_dict", "optimizer", *(["ema_state_dict"] * ema)):
        torch.testing.assert_close(actual[section], expected[section], rtol=0, atol=0)
    assert actual["param_schedulers"] == expected["param_schedulers"]
    assert len(history(whole.message_hub)["train/loss"][0]) == 6
    assert history(resumed.message_hub) == history(whole.message_hub)
    for name in ("best_score", "iter", "loop_stage"):
        assert resumed.message_hub.get_info(name) == whole.message_hub.get_info(name)
    log = "".join(path.read_text() for path in (tmp_path / "parts").rglob("*.log"))
    assert "resumed epoch: 0, iter: 3" in log
    # mmengine's words for a log entry, a key or a data set description that did not survive.
    for complaint in ("skip resuming", "metainfo", "not plain"):
        assert complaint not in log


def test_every_file_of_a_run_is_plain_and_the_live_hub_is_not_touched(tmp_path):
    runner = make_runner(tmp_path, 3, [PlainCheckpointHook()])
    runner.train()
    files = sorted(path.name for path in tmp_path.glob("*.pth"))
    assert files == ["best_mIoU_iter_3.pth", "iter_3.pth"]
    for name in files:
        checkpoint = saved(tmp_path / name)
        assert checkpoint["meta"]["dataset_meta"]["classes"] == ("a", "b")
    assert type(saved(tmp_path / files[0])["message_hub"]["runtime_info"]["best_score"]) is float
    assert all(isinstance(b, HistoryBuffer) for b in runner.message_hub.log_scalars.values())
    assert runner.message_hub.log_scalars["train/loss"].data[0].shape == (3,)
    assert isinstance(Line.metainfo["palette"], np.ndarray)


def test_the_hook_is_built_from_a_config_and_goes_last(tmp_path):
    runner = make_runner(tmp_path, 3, [dict(type="PlainCheckpointHook"), dict(type="EMAHook")])
    changing = [hook for hook in runner.hooks if "before_save_checkpoint" in type(hook).__dict__]
    assert isinstance(changing[-1], PlainCheckpointHook)


class PutStrangeThings(Hook):
    """Puts what has no plain form into every part of the checkpoint."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        runner.message_hub.update_info("callback", print)
        runner.message_hub.update_info("nested", dict(good=np.int64(4), bad=object()))

    def before_save_checkpoint(self, runner, checkpoint):
        checkpoint["meta"]["maker"] = self
        checkpoint["precious"] = dict(state=torch.ones(1), generator=range(3))


def test_a_strange_value_is_left_out_or_kept_with_one_warning_and_saving_goes_on(
    tmp_path, warnings_logged
):
    runner = make_runner(tmp_path, 6, [PutStrangeThings(), PlainCheckpointHook()])
    runner.train()
    texts = "\n".join(warnings_logged)
    for path in (
        "message_hub.runtime_info.callback (builtins.builtin_function_or_method)",
        "message_hub.runtime_info.nested.bad (builtins.object)",
        "meta.maker",
    ):
        assert texts.count(f"Checkpoint: {path}") == 1
    assert texts.count("precious.generator (builtins.range)") == 1
    assert len(warnings_logged) == 4

    kept = torch.load(tmp_path / "iter_6.pth", weights_only=False)
    assert kept["precious"] == dict(state=torch.ones(1), generator=range(3))
    hub = kept["message_hub"]
    assert hub["runtime_info"]["nested"] == dict(good=4)
    # mmengine warns at each resume about names without a value.
    assert "callback" not in hub["runtime_info"] and "callback" not in hub["resumed_keys"]
    assert "nested" in hub["resumed_keys"]
    # The live hub, its list of names included, still has it.
    assert runner.message_hub.get_info("callback") is print
    assert "callback" in runner.message_hub.state_dict()["resumed_keys"]


def test_checkpoints_saved_without_the_hook_pass_through():
    buffer = HistoryBuffer([1.0], [1])
    checkpoint = dict(meta={}, state_dict={}, message_hub=dict(log_scalars=dict(loss=buffer)))
    PlainCheckpointHook().after_load_checkpoint(None, checkpoint)
    assert checkpoint["message_hub"]["log_scalars"]["loss"] is buffer


def test_a_checkpoint_without_a_message_hub_is_saved():
    checkpoint = dict(meta=dict(score=np.float64(0.5)), state_dict={})
    PlainCheckpointHook().before_save_checkpoint(None, checkpoint)
    assert checkpoint == dict(meta=dict(score=0.5), state_dict={})
    assert type(checkpoint["meta"]["score"]) is float
