#!lua flags=no-writes
-- Returns JSON: the types that are held since what they work with is down, each as {type, since, reason}.
-- include base, held

local found = {}
for _, name in ipairs(call('SMEMBERS', keys.HELD_TYPES)) do
  local job_type, service = name:match('^([^:]*):(.*)$')
  local hold = job_type and read_hold(job_type, service)
  if hold then found[#found + 1] = {job_type, hold.since, hold.reason} end
end
return cjson.encode(found)
