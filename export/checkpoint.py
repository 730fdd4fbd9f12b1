"""A YOLOv8 checkpoint as a network that ends in its six raw heads: what is quantized best and decoded on the device."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import torch
from torch import nn

from device.errors import InputError

STRIDES = (8, 16, 32)
HEADS = ("box_8", "class_8", "box_16", "class_16", "box_32", "class_32")


class RawHeads(nn.Module):
    """The layers of a YOLOv8 detector up to, and without, its decoding.

    Sigmoid, DFL and the concatenation of the strides stay out of the graph: in int8 they cost 4 to 8 points of mAP,
    in NumPy on the few candidates above the threshold they cost next to nothing.
    """

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        layers = list(detector.model)
        self.body = nn.ModuleList(layers[:-1])
        self.head = layers[-1]
        self.keep = frozenset(detector.save)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """[N, 3, S, S] float32 RGB 0..1 -> box_8, class_8, box_16, …: [N, 64 or classes, S/stride, S/stride]."""
        kept: dict[int, torch.Tensor] = {}
        x = images
        for index, layer in enumerate(self.body):
            source = layer.f
            if isinstance(source, int):
                x = layer(x if source == -1 else kept[source])
            else:
                x = layer([x if j == -1 else kept[j] for j in source])
            if index in self.keep:
                kept[index] = x
        features = [x if j == -1 else kept[j] for j in self.head.f]
        heads = []
        for index, feature in enumerate(features):
            heads += [self.head.cv2[index](feature), self.head.cv3[index](feature)]
        return tuple(heads)


class ChannelLast(nn.Module):
    """The same network for the device: it takes [1, S, S, 3] as images lie in memory, and gives [1, H, W, C]."""

    def __init__(self, heads: nn.Module) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """[1, S, S, 3] float32 RGB 0..1 -> six [1, H, W, C] float32."""
        return tuple(head.permute(0, 2, 3, 1) for head in self.heads(image.permute(0, 3, 1, 2)))


def load_detector(path: Path) -> nn.Module:
    """An Ultralytics YOLOv8 detector in eval mode, float32, BatchNorm not folded.

    The file is a pickle: load only what `make models` checked or you trained yourself.

    Raises:
        InputError: it cannot be read, or it is not a YOLOv8 detector with three strides and 16 DFL bins.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            loaded: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:  # Unpickling fails in as many ways as there are broken files.
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path} cannot be read as a checkpoint of Ultralytics: {first}") from error
    model = loaded.get("ema") or loaded.get("model") if isinstance(loaded, dict) else None
    if not isinstance(model, nn.Module):
        raise InputError(f"{path} holds no model; a checkpoint of Ultralytics (best.pt, yolov8n.pt) is wanted")
    return checked(model.float().eval(), str(path))


def checked(model: nn.Module, where: str) -> nn.Module:
    """Refuse what the device's decoder could not read. Raises InputError."""
    head = list(model.model)[-1] if hasattr(model, "model") else None
    strides = tuple(int(s) for s in getattr(head, "stride", ()))
    if type(head).__name__ != "Detect" or strides != STRIDES or head.reg_max != 16:
        raise InputError(
            f"{where} is no YOLOv8 detector with strides 8, 16, 32 and 16 DFL bins, which the device decodes"
        )
    return model


def raw_heads(detector: nn.Module) -> RawHeads:
    """The detector with BatchNorm folded into its convolutions, ending in raw heads. Changes `detector` itself."""
    return RawHeads(detector.fuse(verbose=False)).eval().requires_grad_(False)


def labels_of(detector: nn.Module) -> list[str]:
    """Class names in the order of their ids."""
    return [detector.names[index] for index in sorted(detector.names)]
