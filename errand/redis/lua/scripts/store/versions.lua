#!lua flags=no-writes
-- Reads of many jobs what changes with every step of theirs, for comparison with the last time.
-- KEYS  the jobs' hashes
-- Returns for each job a text, or false where there is none.
-- include base

local FIELDS = {'status', 'errand_attempts', 'enqueued_at', 'started_at', 'ended_at', 'errand_progress', 'errand_lines'}
local versions = {}
for i, hash in ipairs(KEYS) do
  local found = pcall_redis('HMGET', hash, unpack(FIELDS))
  local values = {}
  for j = 1, #FIELDS do values[j] = found[j] or '' end
  versions[i] = not found.err and found[1] and table.concat(values, ' ')
end
return versions
