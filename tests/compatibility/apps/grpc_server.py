"""A gRPC server in a process of its own: Wait takes 100 ms, and returns what it got. It writes its port."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import grpc


def wait(request, context):
    time.sleep(0.1)
    return request


server = grpc.server(ThreadPoolExecutor(100))
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(
    "Test", {"Wait": grpc.unary_unary_rpc_method_handler(wait)})])
port = server.add_insecure_port("127.0.0.1:0")
server.start()
sys.stdout.write(f"port {port}\n")
sys.stdout.flush()
server.wait_for_termination()
