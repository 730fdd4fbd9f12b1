"""What a training run may be told, with defaults that were measured on small data."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Settings:
    """Of the optimization and of the augmentation.

    The defaults were chosen on 60 of 240 training photos of one kind of fruit at 320 pixels, never on the photos that
    are reported on, and in one run each. What counts is to begin gently and to keep what the weights know: with the
    backbone frozen, few mosaics and a rate of 4e-4, ten epochs of twenty came to 67.2 points of mAP50-95 (best
    classes); with Ultralytics' augmentation, all layers and a rate of 1e-3 it was 28 after ten and 68.0 after thirty.
    With thousands of photos, try `freeze` 0 and more epochs.
    """

    epochs: int = 24
    batch: int = 16
    rate: float = 4e-4
    """Of AdamW, at its highest."""
    final_rate: float = 0.01
    """What is left of the rate at the end, as a factor; a cosine leads there."""
    weight_decay: float = 5e-4
    warmup: float = 2.0
    """Epochs in which the rate rises from 0."""
    clip: float = 10.0
    ema: float = 0.999
    """Largest decay of the moving average of the weights, which is what is kept in the end."""
    ema_steps: float = 200.0
    """Steps over which that decay is approached: as 1 - exp(-step / ema_steps)."""
    bfloat16: bool = False
    """Multiply in bfloat16: half the time on processors that have it (AVX512-BF16, AMX), more on others."""
    freeze: int = 10
    """So many of the network's first layers keep their weights."""
    close_mosaic: int = 14
    """So many epochs at the end see whole photos only."""
    mosaic: float = 0.3
    scale: float = 0.3
    translate: float = 0.1
    degrees: float = 0.0
    fliplr: float = 0.5
    flipud: float = 0.0
    hsv_h: float = 0.015
    hsv_s: float = 0.5
    hsv_v: float = 0.4
    mixup: float = 0.0
    box: float = 7.5
    cls: float = 1.0
    dfl: float = 1.5

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Every setting's name."""
        return tuple(field.name for field in fields(cls))


AUGMENTATION = (
    "mosaic",
    "scale",
    "translate",
    "degrees",
    "fliplr",
    "flipud",
    "hsv_h",
    "hsv_s",
    "hsv_v",
    "mixup",
    "box",
    "cls",
    "dfl",
)
"""Settings that Ultralytics' augmentation and loss know by the same names."""
