"""The table of losses in docs/custom_dataset.md says what works, and what is refused."""

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import ConfigDict
from mmseg.registry import MODELS
from torch import Tensor

from tests.models.builders import build_head, feature_maps, fpn_head, model_config, samples_of

PAGE = Path(__file__).resolve().parents[2] / "docs/custom_dataset.md"
PLACES = ("coarse_head.loss_decode", "loss_point", "auxiliary_head.loss_decode")
FINE = dict(type="CrossEntropyLoss", use_sigmoid=True)
AUXILIARY = dict(type="FCNHead", in_channels=8, in_index=2, channels=8, num_convs=1, num_classes=2)


def read_table() -> tuple[list, list]:
    """Read the table: (K, config of a loss) of those that work, and of those that are refused."""
    works, refused = [], []
    table = PAGE.read_text("utf-8").partition("| loss | several channels |")[2].partition("\n\n")[0]
    for line in table.splitlines()[2:]:
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        for channels, cell in zip((2, 1), cells, strict=True):
            needed = "".join(re.findall(r"with `([^`]*)`", cell))
            base = dict(type=name.strip("`"), **eval(f"dict({needed})"))
            if cell.startswith("refused"):
                refused.append((channels, base))
                continue
            assert cell.startswith("yes"), cell
            more = [eval(f"dict({code})") for code in re.findall(r"also `([^`]*)`", cell)]
            works += [(channels, base), *((channels, base | extra) for extra in more)]
    return works, refused


WORKS, REFUSED = read_table()


def name_of(value: object) -> str:
    return "-".join(map(str, value.values())) if isinstance(value, dict) else str(value)


def build(place: str, channels: int, loss: dict, **head: object):
    """Build a model with that loss in one place, and others elsewhere."""
    losses = dict.fromkeys(PLACES, FINE) | {place: loss}
    config = model_config(
        num_classes=2,
        out_channels=channels,
        coarse_head=fpn_head(loss_decode=losses["coarse_head.loss_decode"]),
        loss_point=losses["loss_point"],
        **head,
    )
    auxiliary = AUXILIARY | dict(out_channels=channels, threshold=0.5)
    auxiliary["loss_decode"] = losses["auxiliary_head.loss_decode"]
    return MODELS.build(ConfigDict(config, auxiliary_head=auxiliary))


def test_the_table_is_read() -> None:
    assert {loss["type"] for _, loss in WORKS + REFUSED} >= {"CrossEntropyLoss", "OhemCrossEntropy"}
    assert len(WORKS) == 12 and len(REFUSED) == 6


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("channels", "loss"), WORKS, ids=name_of)
def test_what_works_does(place: str, channels: int, loss: dict) -> None:
    torch.manual_seed(0)
    model = build(place, channels, loss)
    labels = torch.randint(0, 2, (2, 64, 64))
    some, one, image = labels.clone(), torch.full_like(labels, 255), labels.clone()
    some[:, :40], one[1, 60, 3], image[1] = 255, 1, 255
    nothing = torch.full_like(labels, 255)
    for known in (labels, some, one, image, nothing):
        inputs = [x.requires_grad_() for x in feature_maps(64, 64, 2)]
        head = model.auxiliary_head if place.startswith("aux") else model.decode_head
        found = head.loss(inputs, samples_of(known), dict())
        prefix = {PLACES[0]: "coarse.loss", PLACES[1]: "point.loss"}.get(place, "loss")
        (value,) = (v.sum() for k, v in found.items() if k.startswith(prefix))
        value.backward()
        assert value.isfinite()
        if known is nothing:
            assert value == 0
        elif known is not one:
            assert value > 0
        assert all(x.grad is None or x.grad.isfinite().all() for x in inputs)
        assert any(x.grad is not None for x in inputs), "without a graph ranks wait for each other"


@pytest.mark.parametrize(("channels", "loss"), WORKS, ids=name_of)
def test_what_works_prefers_the_right_prediction(channels: int, loss: dict) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 2, (2, 9, 9), generator=generator)
    void = labels.clone()
    void[:, :3] = 255
    sign = (2.0 * labels - 1)[:, None]
    right = 4 * (sign if channels == 1 else torch.cat([-sign, sign], dim=1))
    for place in PLACES:
        model = build(place, channels, loss)

        def value(logits: Tensor, model=model, place=place) -> Tensor:
            if place == "loss_point":
                found = model.decode_head.point_losses(logits.flatten(2), void.flatten(1))
                return next(v for k, v in found.items() if k.startswith("loss"))
            aux = place.startswith("aux")
            head = model.auxiliary_head if aux else model.decode_head.coarse_head
            found = head.loss_by_feat(logits, samples_of(void))
            return next(v for k, v in found.items() if k.startswith("loss"))

        assert value(right) < value(0 * right) < value(-right)


@pytest.mark.parametrize(
    ("dtype", "largest"), [(torch.float32, 1e30), (torch.float16, 6e4), (torch.bfloat16, 1e30)]
)
@pytest.mark.parametrize(("channels", "loss"), WORKS, ids=name_of)
def test_what_works_is_finite_for_extreme_logits(
    channels: int, loss: dict, dtype: torch.dtype, largest: float
) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 2, (2, 6, 5), generator=generator)
    labels[:, 0] = 255
    model = build(PLACES[1], channels, loss)
    model.decode_head.coarse_head.loss_decode = build(
        PLACES[0], channels, loss
    ).decode_head.coarse_head.loss_decode
    for values in (largest, 0.0, -largest):
        signs = torch.randn(2, channels, 6, 5, generator=generator).sign()
        signs[:, :, 3] = 1  # ties
        logits = (values * signs).to(dtype).requires_grad_()
        coarse = model.decode_head.coarse_head.loss_by_feat(logits, samples_of(labels))
        point = model.decode_head.point_losses(logits.flatten(2), labels.flatten(1))
        found = [v for losses in (coarse, point) for k, v in losses.items() if "loss" in k]
        assert len(found) == 2 and all(value.isfinite() for value in found)
        sum(found).backward()
        assert logits.grad.isfinite().all()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("channels", "loss", "message"),
    [
        *((channels, loss, loss["type"]) for channels, loss in REFUSED),
        (1, dict(type="CrossEntropyLoss"), "set use_sigmoid=True"),
        (1, FINE | dict(class_weight=[1.0, 5.0]), "give one number, by which class 1 counts more"),
        (2, FINE | dict(class_weight=[1.0, 5.0]), "leave use_sigmoid out"),
        (2, dict(type="CrossEntropyLoss", class_weight=[1.0]), "give one weight for each class"),
        (2, dict(type="TverskyLoss", class_weight=[1.0] * 3), "but out_channels=2"),
        (2, dict(type="CrossEntropyLoss", use_mask=True), "leave use_mask out"),
        (2, dict(type="LovaszLoss", loss_type="binary", reduction="none"), "leave loss_type out"),
        (1, dict(type="LovaszLoss", reduction="none"), 'set loss_type="binary"'),
        (2, dict(type="BoundaryLoss"), "does not take ignore_index"),
        (2, dict(type="HuasdorffDisstanceLoss"), "takes ignored pixels for class 0"),
    ],
    ids=name_of,
)
def test_what_cannot_work_is_refused_when_the_model_is_built(
    place: str, channels: int, loss: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        build(place, channels, loss)
    assert f"{place}={loss['type']} " in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=re.escape(message)):
        build(place, channels, loss if place != "loss_point" else [FINE, loss])


def test_a_file_of_class_weights_is_checked_too(tmp_path: Path) -> None:
    file = tmp_path / "weights.json"
    file.write_text("[1.0, 2.0, 3.0]")
    loss = dict(type="CrossEntropyLoss", class_weight=str(file))
    with pytest.raises(ValueError, match="but out_channels=4"):
        build_head(loss_point=loss)
