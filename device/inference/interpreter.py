"""From a bundle to the runtime that runs it."""

from __future__ import annotations

import importlib.util
from typing import Literal

from device.errors import InputError
from device.inference.manifest import Bundle, ModelFile
from device.inference.tensors import Interpreter


def open_interpreter(
    bundle: Bundle, *, runtime: Literal["auto", "litert", "onnxruntime"] = "auto", threads: int = 1
) -> Interpreter:
    """Load a bundle's model file into its runtime.

    Args:
        bundle: from `load_bundle`.
        runtime: `auto` takes LiteRT (or tflite_runtime) where it is installed and the bundle has a file for it.
        threads: of the runtime.
    Raises:
        InputError: the bundle has no file for the runtime, the runtime is not installed, or it refuses the file.
    """
    file = choose_file(bundle, runtime)
    content = bundle.read(file)
    if file.runtime == "litert":
        from device.inference.litert import LiteRTInterpreter  # Only the runtime in use is imported: each costs 30 MB.

        return LiteRTInterpreter(
            content, bundle.manifest.input, file, threads=threads, name=str(bundle.path / file.path)
        )
    from device.inference.onnx import OnnxInterpreter

    return OnnxInterpreter(content, bundle.manifest.input, file, threads=threads, name=str(bundle.path / file.path))


def choose_file(bundle: Bundle, runtime: Literal["auto", "litert", "onnxruntime"]) -> ModelFile:
    """The file to run: the manifest's first of the runtime asked for. Raises InputError where there is none."""
    wanted = [runtime] if runtime != "auto" else ["litert", "onnxruntime"]
    missing = []
    for name in wanted:
        file = next((file for file in bundle.manifest.files if file.runtime == name), None)
        if file is not None and _installed(name):
            return file
        if file is not None:
            missing.append(name)
    if missing:
        packages = {"litert": "ai-edge-litert (or tflite-runtime)", "onnxruntime": "onnxruntime"}
        raise InputError(
            f"{bundle.path} needs {' or '.join(packages[name] for name in missing)}, which is not installed"
        )
    has = ", ".join(sorted({file.runtime for file in bundle.manifest.files}))
    raise InputError(
        f"{bundle.path} has no file for the runtime {runtime!r}; it has one for {has}: set `model.runtime` to that"
    )


def _installed(runtime: str) -> bool:
    """Whether the runtime can be imported, without importing it."""
    modules = {"litert": ("ai_edge_litert", "tflite_runtime"), "onnxruntime": ("onnxruntime",)}[runtime]
    return any(importlib.util.find_spec(module) is not None for module in modules)
