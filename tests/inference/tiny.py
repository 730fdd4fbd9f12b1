"""The smallest `.tflite` there is a use for, made by hand: it gives back the picture it was shown."""

from __future__ import annotations

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

INT8 = (schema.TensorType.INT8, 1 / 255, -128)
FLOAT32 = (schema.TensorType.FLOAT32, None, 0)


def _tensor(name: str, shape: tuple[int, ...], kind: tuple[int, float | None, int]) -> schema.TensorT:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.buffer = name, np.array(shape, np.int32), 0
    tensor.type, scale, zero_point = kind
    if scale is not None:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero_point]
    return tensor


def _operation(code: int, source: int, target: int) -> schema.OperatorT:
    operation = schema.OperatorT()
    operation.opcodeIndex, operation.inputs, operation.outputs = code, [source], [target]
    return operation


def echo_model(size: int, *, version: int = 2) -> bytes:
    """An int8 picture in; out come, first, what its numbers mean (float32) and, second, their negatives.

    `version` is that of the operation DEQUANTIZE: no runtime knows 99.
    """
    shape = (1, size, size, 3)
    graph = schema.SubGraphT()
    graph.tensors = [_tensor("in", shape, INT8), _tensor("out", shape, FLOAT32), _tensor("negative", shape, FLOAT32)]
    graph.inputs, graph.outputs = [0], [1, 2]
    graph.operators = [_operation(0, 0, 1), _operation(1, 1, 2)]
    codes = []
    for operator, number in ((schema.BuiltinOperator.DEQUANTIZE, version), (schema.BuiltinOperator.NEG, 1)):
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = operator
        code.version = number
        codes.append(code)
    model = schema.ModelT()
    model.version, model.subgraphs, model.operatorCodes, model.buffers = 3, [graph], codes, [schema.BufferT()]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
