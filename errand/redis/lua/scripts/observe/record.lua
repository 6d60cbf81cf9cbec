#!lua flags=no-writes
-- Reads the hash of a job, less a payload that is too large.
-- KEYS  the hash
-- Returns its fields (name, value, …), with '' in the place of such a payload.
-- include base

local size = pcall_redis('HSTRLEN', KEYS[1], 'data')
if type(size) ~= 'number' or size <= keys.DATA_BYTES then return call('HGETALL', KEYS[1]) end
local found = {}
for i, name in ipairs(call('HKEYS', KEYS[1])) do
  found[2 * i - 1], found[2 * i] = name, name == 'data' and '' or call('HGET', KEYS[1], name)
end
return found
