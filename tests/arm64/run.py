"""Runs the device code on arm64, under emulation: `python -m tests.arm64.run [--suite trixie]`.

Debian's arm64 Python and the locked arm64 wheels are unpacked side by side, and qemu-aarch64-static runs them as each
of the processors that a Pi has. The same picture must give the same detections as here, and a clip must go through the
whole daemon. Needs root (for chroot), debootstrap and qemu-user-static; no binfmt, no network but for the packages.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import cv2

from device.capture.footage import demo_clip
from tests.debian import CACHE, PYTHONS, ROOT, copy_checkout, mirror, place_model
from tests.wheelhouse import fill

QEMU = "/usr/bin/qemu-aarch64-static"
PROCESSORS = {"cortex-a53": "0xd03", "cortex-a72": "0xd08", "cortex-a76": "0xd0b"}
"""Of the Pi 3 and Zero 2 W, of the Pi 4, of the Pi 5; with the number that /proc/cpuinfo tells."""
CORE = """\
processor\t: {number}
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: {part}
CPU revision\t: 3

"""
CONFIG = """\
device: {{id: pi, role: camera}}
cameras: [{{id: street, source: /opt/clip.mp4, pace: fast, fps: 5, objects: [person, bicycle, car]}}]
model: {{path: {model}, threads: 1}}
mqtt: {{enabled: false}}
web: {{port: 18080}}
storage: {{path: /var/lib/sereno}}
"""
FRAMES = 15


def base_root(suite: str) -> Path:
    """An unpacked arm64 Debian with Python, made once. Nothing in it was ever configured: only unpacked."""
    folder = CACHE / "arm64" / suite
    if not (folder / ".complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        print(f"unpacking an arm64 {suite}", flush=True)
        command = [
            "debootstrap",
            "--foreign",
            "--arch=arm64",
            "--variant=minbase",
            "--include=python3",
            suite,
            folder,
            mirror(),
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        for package in (folder / "var/cache/apt/archives").glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
        (folder / ".complete").touch()
    return folder


def install(root: Path, suite: str) -> str:
    """Wheels, program and model into the root; the model's name."""
    wheels = CACHE / "wheels" / f"aarch64-{PYTHONS[suite]}"
    fill(wheels, ROOT / "requirements/device.txt", PYTHONS[suite], "aarch64")
    shutil.rmtree(root / "opt", ignore_errors=True)
    (root / "opt/site").mkdir(parents=True)
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(root / "opt/site")
    copy_checkout(root / "opt/sereno", "")
    shutil.copy2(QEMU, root / "usr/bin")
    return place_model(root / "opt/sereno/models")


def become(root: Path, processor: str) -> None:
    """Files that tell of a Pi's processor; the real /proc would tell of ours, which arm64's cpuinfo library dies of."""
    (root / "proc/cpuinfo").write_text("".join(CORE.format(number=n, part=PROCESSORS[processor]) for n in range(4)))
    cpus = root / "sys/devices/system/cpu"
    cpus.mkdir(parents=True, exist_ok=True)
    for name in ("possible", "present"):
        (cpus / name).write_text("0-3\n")


def sereno(root: Path, processor: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`sereno …` in the root, on that processor."""
    become(root, processor)
    command = ["chroot", root, QEMU, "-cpu", processor, "-E", "PYTHONPATH=/opt/site:/opt/sereno", "/usr/bin/python3"]
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root"}
    return subprocess.run([*command, "-m", "device", *arguments], env=env, text=True, capture_output=True, check=False,
                          timeout=600)  # fmt: skip


def pictures(clip: Path, folder: Path) -> None:
    """Frames of 320x320, which no resize touches: OpenCV's differs by one grey level between processors."""
    folder.mkdir(exist_ok=True)
    video = cv2.VideoCapture(str(clip))
    for number in range(240):
        _, frame = video.read()
        if number % 60 == 30:
            cv2.imwrite(str(folder / f"{number:03}.png"), cv2.resize(frame, (320, 320)))


def detections(json_lines: str) -> list[dict[str, Any]]:
    """All detections of some lines of `sereno detect --json`."""
    return [found for line in json_lines.splitlines() for found in json.loads(line)["detections"]]


def same(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> bool:
    """Whether they differ by rounding at most."""
    return [found["label"] for found in ours] == [found["label"] for found in theirs] and all(
        max(abs(a - b) for a, b in zip(one["xyxy"], other["xyxy"], strict=True)) < 0.02
        and abs(one["confidence"] - other["confidence"]) < 1e-4
        for one, other in zip(ours, theirs, strict=True)
    )


def compare(root: Path, model: str, clip: Path) -> list[str]:
    """The same pictures here and on each of the Pi's processors."""
    pictures(clip, root / "opt/frames")
    folder = root / "opt/sereno/models" / model
    command = [sys.executable, "-m", "device", "detect", str(root / "opt/frames"), "--json", "--model", str(folder)]
    here = detections(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    failed = [] if here else ["nothing to compare: no detections here"]
    for processor in PROCESSORS:
        started = time.monotonic()
        done = sereno(root, processor, "detect", "/opt/frames", "--json", "--model", model)
        there = detections(done.stdout)
        if done.returncode or not same(here, there):
            failed.append(f"{processor}: {done.stderr.strip()}\n  here {here}\n  there {there}")
        else:
            print(f"{processor}: {len(there)} detections, as here ({time.monotonic() - started:.0f} s)", flush=True)
    return failed


def daemon(root: Path, model: str, clip: Path) -> list[str]:
    """A clip through the whole daemon: capture, gate, detector, tracker, events, storage, page."""
    shutil.copy(clip, root / "opt/clip.mp4")
    (root / "opt/camera.yaml").write_text(CONFIG.format(model=model), encoding="utf-8")
    shutil.rmtree(root / "var/lib/sereno", ignore_errors=True)
    done = sereno(root, "cortex-a72", "run", "--config", "/opt/camera.yaml", "--max-frames", str(FRAMES))
    events = [line for line in done.stderr.splitlines() if ": new " in line]
    print(f"daemon: exit {done.returncode}, {len(events)} new events in {FRAMES} frames", flush=True)
    return [] if done.returncode == 0 and events else [f"the daemon: exit {done.returncode}\n{done.stderr}"]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--suite", choices=sorted(PYTHONS), default="bookworm")
    given = parser.parse_args()
    if os.geteuid() != 0 or not Path(QEMU).exists() or not shutil.which("debootstrap"):
        sys.exit("needs root, and: apt install debootstrap qemu-user-static")
    root = base_root(given.suite)
    clip = demo_clip(CACHE / "footage")
    model = install(root, given.suite)
    print(f"arm64 {given.suite}, Python {PYTHONS[given.suite]}, {model}", flush=True)
    failed = compare(root, model, clip) + daemon(root, model, clip)
    if failed:
        sys.exit("failed:\n" + "\n".join(failed))


if __name__ == "__main__":
    main()
