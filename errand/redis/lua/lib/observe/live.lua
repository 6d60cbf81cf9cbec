-- The workers that live, ours and plain ones, and what each can run. Ours are heard twice a second: one that has been
-- silent for long is dead or cut off, though RQ keeps its record for minutes. A plain one may be silent for minutes.
-- gives list_live, find_its_code
-- include base

-- Return the code in which a worker has a type, '*' for a plain one, which runs whatever there is; false for none.
function find_its_code(live, job_type)
  local key = keys.TYPES .. live.name
  local code = job_type and pcall_redis('HGET', key, job_type)
  if type(code) == 'string' then return code end
  return (not job_type or call('EXISTS', key) == 0) and '*'
end

-- Each as {name, state, queues: a set}; one of ours has been heard since that time.
function list_live(since)
  local found = {}
  local listed = pcall_redis('SMEMBERS', keys.WORKERS)
  for _, key in ipairs(listed.err and {} or listed) do
    local name = key:sub(#keys.WORKER + 1)
    local fields = pcall_redis('HMGET', key, 'queues', 'state', 'last_heartbeat', 'death')
    local is_there = not fields.err and fields[3] and not fields[4]
    if is_there and (fields[3] >= since or call('EXISTS', keys.TYPES .. name) == 0) then
      local queues = {}
      for queue in (fields[1] or ''):gmatch('[^,]+') do queues[queue] = true end
      found[#found + 1] = {name = name, state = fields[2] or '', queues = queues}
    end
  end
  return found
end
