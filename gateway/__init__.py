"""llm-gateway: an HTTP reverse proxy for LLM APIs."""
