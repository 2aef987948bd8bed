"""A model behind an OpenAI-compatible door, and an assistant that goes through that door to act.

The assistant half is in rooms: `cli`, `agent`, `toolbox`, `exchange`, `todo`. `formats`, `engines`,
`carriers`, `workbench` and the modules beside them are the model half. Both know `settings` and
`errors`; neither imports the other.
"""
