"""What can go wrong, and whether trying again could help.

    NodeError
    ├── ConfigurationError        a setting, an extra or a model is wrong; mend it, start again
    │   ├── RuntimeMissing        onnxruntime absent, installed twice, or not for the device
    │   └── BadWeights            card or ONNX file of a network cannot be used, or do not match
    ├── BadInference              a network answered with what is no answer
    ├── InferenceFailed           *transient*: no memory for one picture, or the device failed
    ├── BadInstance               the bytes of one instance cannot be taken or worked on
    │   ├── UnreadableHeader      no DICOM data set, or one past the limits of the reader
    │   ├── InconsistentInstance  the data set contradicts the command or itself
    │   └── UndecodablePixels     no pixel data, too little of it, or no permitted decoder
    ├── RefusedStack              a stack that was received whole but must not be re-indexed
    │   └── UnusableGeometry      position, cosines or spacing missing or not orthonormal
    ├── GeometryNotKept           a derived object failed the proof; nothing of it is sent
    ├── StoreFull                 *transient*: the disk is past the hard mark
    ├── StoreBroken               *transient*: the disk answered with an error
    ├── PeerRefused               the peer said no, for good
    └── PeerUnreachable           *transient*: no connection, no association, or it broke

A message names what was found and what is allowed; it never holds a patient's name.
``transient`` is what the queue reads: only a transient error is worth another attempt.
"""

from __future__ import annotations

from typing import ClassVar


class NodeError(Exception):
    """Everything the node itself raises."""

    transient: ClassVar[bool] = False


class ConfigurationError(NodeError):
    """A setting, an extra or a model is not as it must be."""


class RuntimeMissing(ConfigurationError):
    """ONNX Runtime is absent, installed in both builds, or has no provider for the device."""


class BadWeights(ConfigurationError):
    """Card or ONNX file of a network are absent, foreign, damaged, or not of each other."""


class BadInference(NodeError):
    """A network answered with what is no answer: values that are no numbers, a wrong shape."""


class InferenceFailed(NodeError):
    """The runtime failed: no memory for even one picture, or the device is gone."""

    transient = True


class BadInstance(NodeError):
    """The bytes of one instance cannot be taken or worked on."""


class UnreadableHeader(BadInstance):
    """Not a DICOM data set, or one past the limits of the reader."""


class InconsistentInstance(BadInstance):
    """The data set contradicts the command it came with, or itself."""


class UndecodablePixels(BadInstance):
    """No pixel data, too little of it, or no permitted decoder."""


class RefusedStack(NodeError):
    """A stack that was received whole but must not be re-indexed."""


class UnusableGeometry(RefusedStack):
    """Position, cosines or spacing are missing, not unit or not orthogonal."""


class GeometryNotKept(NodeError):
    """A derived object, read back, does not hold each pixel value at its patient position."""


class StoreFull(NodeError):
    """The disk is past the hard mark."""

    transient = True


class StoreBroken(NodeError):
    """The disk answered with an error."""

    transient = True


class PeerRefused(NodeError):
    """The peer said no, for good."""


class PeerUnreachable(NodeError):
    """No connection, no association, or it broke."""

    transient = True
