"""Events to browsers: the relay between the store's streams and the sockets of those who watch."""

from image2model.events.http import EventStream, StreamGate, routes
from image2model.events.relay import EventRelay

__all__ = ["EventRelay", "EventStream", "StreamGate", "routes"]
