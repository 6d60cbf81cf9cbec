"""The Lua scripts and the loader that assembles them."""
