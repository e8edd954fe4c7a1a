"""grpcio: a request sends its query string to a gRPC server, and gets it back from there."""

import os

import grpc
from app_support import answer

wait = grpc.insecure_channel(f"127.0.0.1:{os.environ['GRPC_PORT']}").unary_unary("/Test/Wait")


def app(environ, start_response):
    return answer(start_response, wait(environ["QUERY_STRING"].encode(), timeout=30))
