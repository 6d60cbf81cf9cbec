"""The connection to Redis, the names of all its keys, and the Lua scripts."""
