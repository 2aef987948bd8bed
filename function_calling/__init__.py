"""A model behind an OpenAI-compatible door, and an assistant that goes through that door to act.

The assistant half is in rooms: `cli`, `agent`, `toolbox`, `exchange`, `todo`. `formats`, `engines`,
`weights` and the modules beside them are the model half, and so are the commands in `cli` that
look at it: `render`, `parse`, `samples`. Both know `settings` and `errors`; neither imports the
other.
"""
