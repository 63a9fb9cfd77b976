"""How a handler refuses a call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import status_pb2

__all__ = ["Refused", "invalid", "missing"]


class Refused(Exception):
    """A call is refused with a gRPC status.

    Attributes:
        code: of the status.
        message: for people.
        details: protobufs that say more.
    """

    def __init__(self, code: grpc.StatusCode, message: str, details: Iterable[Any] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = tuple(details)

    def to_proto(self) -> status_pb2.Status:
        """Return the status with its details, as it travels in the trailers."""
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        for detail in self.details:
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        return status


def invalid(message: str) -> Refused:
    """Return INVALID_ARGUMENT."""
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, message)


def missing(name: str) -> Refused:
    """Return NOT_FOUND of a resource."""
    return Refused(grpc.StatusCode.NOT_FOUND, f"{name} was not found.")
