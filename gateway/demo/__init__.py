"""A fake provider that speaks every vendor's format, so that everything can be tried without a key or a network."""

from gateway.demo.examples import examples
from gateway.demo.server import Running, application, start

__all__ = ["Running", "application", "examples", "start"]
