"""Messages in *_pb2, gRPC stubs in *_pb2_grpc."""
