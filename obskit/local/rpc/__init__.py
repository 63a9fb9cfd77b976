"""Google's gRPC services and OTLP's, on loopback."""

from obskit.local.rpc.server import METHODS, serve_grpc

__all__ = ["METHODS", "serve_grpc"]
