"""OpenAI's JSON in the model's words, and what the model says in OpenAI's JSON."""
