-- Since when the oldest queued job of a queue has waited.
-- gives find_oldest, read_enqueued_at
-- include base

local LOOKED_AT = 20 -- of the list's front, and one of each set beside it: enough behind some that were put there

-- When a job was queued, nothing where that can't be read.
function read_enqueued_at(id)
  local at = pcall_redis('HGET', keys.JOB .. id, 'enqueued_at')
  local is_time = type(at) == 'string' and at:match('^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.?%d*Z$')
  return is_time and at or nil
end

-- The oldest of a queue's list and of what is parked for it (lib/parked.lua), false where there is none. Those that
-- were put at the front hide older ones: it looks at more than one.
function find_oldest(queue, parks)
  local ids, oldest = pcall_redis('LRANGE', keys.QUEUE .. queue, 0, LOOKED_AT - 1), false
  if ids.err then ids = {} end
  for _, park in ipairs(parks) do
    local first = pcall_redis('ZRANGE', park.key, 0, 0)
    ids[#ids + 1] = not first.err and first[1] or nil
  end
  for _, id in ipairs(ids) do
    local at = read_enqueued_at(id)
    if at and (not oldest or at < oldest) then oldest = at end
  end
  return oldest
end
