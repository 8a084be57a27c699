"""Bytes to facts and back: headers, trace context, request bodies, dialects. No sockets."""
