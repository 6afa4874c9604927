"""The sans-IO core: bytes in, values and bytes out; no sockets, no event loop, no provider's name."""
