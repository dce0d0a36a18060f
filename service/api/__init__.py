"""The HTTP edge under /v1: decode, validate, call the core, respond."""
