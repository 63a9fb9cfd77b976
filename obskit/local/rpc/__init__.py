"""Google's gRPC services and OTLP's, on loopback."""

from obskit.local.rpc.server import METHODS, WHERE, serve_grpc

__all__ = ["METHODS", "WHERE", "serve_grpc"]
