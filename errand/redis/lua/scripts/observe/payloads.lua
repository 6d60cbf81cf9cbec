#!lua flags=no-writes
-- Reads the packed payloads of some jobs.
-- KEYS  the jobs' hashes
-- ARGV  how many bytes one may have
-- Returns each as it is stored, '' for one that has more, or is not there.
-- include base

local found = {}
for i, hash in ipairs(KEYS) do
  local size = pcall_redis('HSTRLEN', hash, 'data')
  found[i] = type(size) == 'number' and size <= tonumber(ARGV[1]) and call('HGET', hash, 'data') or ''
end
return found
