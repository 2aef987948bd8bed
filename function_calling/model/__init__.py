"""A chat model: messages and tools become a prompt, and what is generated text and calls."""
