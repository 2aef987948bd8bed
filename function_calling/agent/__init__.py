"""The loop between a person, a model and tools: ask, call, check, answer."""
