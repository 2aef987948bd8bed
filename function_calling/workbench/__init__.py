"""For who debugs a model's tool calling, or trains a model for it: `render`, `parse`, `samples`."""
