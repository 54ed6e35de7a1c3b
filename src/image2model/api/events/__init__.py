"""Events to browsers: the relay between the store's streams and the sockets of those who watch."""

from image2model.api.events.relay import EventRelay
from image2model.api.events.routes import EventStream, StreamGate, routes

__all__ = ["EventRelay", "EventStream", "StreamGate", "routes"]
