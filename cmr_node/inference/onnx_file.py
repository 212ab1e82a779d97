"""What an ONNX file says of itself, read without any library before a runtime is given it.

The promise kept here: bytes that reach ONNX Runtime are one self-contained graph of standard
operators.  Loaded from memory, a tensor kept in another file would be looked for from wherever
the process was started, and an operator of another domain runs code of a plug-in: both are
refused, in the main graph and in every graph below it.  Only the tags of the protocol buffers
are walked (onnx.proto); values are skipped, so this costs nothing next to the digest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from cmr_node.errors import BadWeights

STANDARD_DOMAINS: Final = ("", "ai.onnx")
OPSETS: Final = range(13, 22)  # 21 is the last that ONNX Runtime 1.20 reads, the oldest allowed
DEEPEST: Final = 16

Value = int | memoryview


_TENSOR = "TensorProto"
_MESSAGES: Final[Mapping[str, Mapping[int, str]]] = {
    "GraphProto": {1: "NodeProto", 5: _TENSOR, 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: _TENSOR, 6: "GraphProto", 10: _TENSOR, 11: "GraphProto",
        22: "SparseTensorProto", 23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: _TENSOR, 2: _TENSOR},
    _TENSOR: {},
}  # fmt: skip
"""Message -> field number -> message, as far as a tensor may lie below."""

_IR_VERSION, _GRAPH, _OPSET_IMPORT, _FUNCTIONS = 1, 7, 8, 25  # ModelProto
_DOMAIN, _VERSION = 1, 2  # OperatorSetIdProto
_NODE_DOMAIN, _EXTERNAL_DATA, _DATA_LOCATION = 7, 13, 14  # NodeProto, TensorProto


def check_self_contained(data: bytes) -> None:
    """Raise ``BadWeights`` unless the bytes are an ONNX model as described above.

    The message says what was found and what is allowed; the caller names the file.
    """
    try:
        fields = list(_fields(memoryview(data)))
    except _NoProtobufError as error:
        raise BadWeights(f"no ONNX, or cut short ({error})") from error
    numbers = {number for number, _ in fields}
    if not {_IR_VERSION, _GRAPH, _OPSET_IMPORT} <= numbers:
        raise BadWeights("no ONNX: version, graph or operator sets are missing")
    if _FUNCTIONS in numbers:
        raise BadWeights("it defines functions; allowed: standard operators alone (inline them)")
    try:
        for number, value in fields:
            if number == _OPSET_IMPORT:
                _check_opset(_message(value))
            elif number == _GRAPH:
                _check_graph(_message(value), "GraphProto", DEEPEST)
    except _NoProtobufError as error:
        raise BadWeights(f"damaged ONNX ({error})") from error


def _check_opset(message: memoryview) -> None:
    domain, version = "", 0
    for number, value in _fields(message):
        if number == _DOMAIN:
            domain = _text(value)
        elif number == _VERSION and isinstance(value, int):
            version = value
    if domain not in STANDARD_DOMAINS:
        raise BadWeights(f"operators of {domain!r}; allowed: the standard ones of ai.onnx alone")
    if version not in OPSETS:
        raise BadWeights(
            f"operator set {version}; allowed: {OPSETS.start} to {OPSETS.stop - 1} of ai.onnx"
        )


def _check_graph(message: memoryview, kind: str, depth: int) -> None:
    if depth < 0:
        raise BadWeights(f"graphs within graphs, deeper than {DEEPEST} messages")
    below = _MESSAGES[kind]
    for number, value in _fields(message):
        if kind == _TENSOR and (
            number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0)
        ):
            raise BadWeights("tensors kept in another file; allowed: all weights in this one")
        if kind == "NodeProto" and number == _NODE_DOMAIN:
            domain = _text(value)
            if domain not in STANDARD_DOMAINS:
                raise BadWeights(
                    f"an operator of {domain!r}; allowed: the standard ones of ai.onnx alone"
                )
        if number in below:
            _check_graph(_message(value), below[number], depth - 1)


class _NoProtobufError(Exception):
    """The bytes are no protocol buffer."""


def _message(value: Value) -> memoryview:
    if isinstance(value, int):
        raise _NoProtobufError("a number in place of a message")
    return value


def _text(value: Value) -> str:
    return bytes(_message(value)[:80]).decode("utf-8", "backslashreplace")


def _fields(data: memoryview) -> Iterator[tuple[int, Value]]:
    """Number and value of each field of a message; those of fixed width as bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            whole, at = _varint(data, at)
            yield number, whole
            continue
        if wire == 2:
            length, at = _varint(data, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise _NoProtobufError(f"wire type {wire} at byte {at}")
        if not number or length > len(data) - at:
            raise _NoProtobufError(f"field {number} of {length} bytes at byte {at} of {len(data)}")
        yield number, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise _NoProtobufError(f"a number without end at byte {at}")
