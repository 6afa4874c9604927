"""The gateway beside a bare aiohttp hop, in one run: CPU, latency, memory and start time."""
