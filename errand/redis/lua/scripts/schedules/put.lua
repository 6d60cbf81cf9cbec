#!lua
-- Stores schedules, each under its name. With `only` it forgets those of the same source that are not among them,
-- unless another worker has their type. One that is there already with the same content is left as it is, its next
-- occurrence included. Sent twice it changes nothing.
-- ARGV  JSON {source, token, now, only: whether others of that source go, types: those of the worker that asks,
--       schedules: [{name, batch: the record of how its runs ended, type, definition, payload, next: an occurrence or
--       '+inf'}, …]}
-- Returns for each schedule whether it is new, 1 or 0, or -1 where it belongs to another source.
-- include base, parked

local PREFIX = keys.FILE_PREFIX -- there may be 10,000 in all: the others are not read
local request = cjson.decode(ARGV[1])
local answers, kept = {}, {}

local function put(one)
  local key, record = keys.SCHEDULE .. one.name, keys.BATCH .. one.batch
  if call('TYPE', key).ok ~= 'hash' then call('DEL', key) end
  if call('TYPE', record).ok ~= 'hash' then call('DEL', record) end
  if call('TYPE', key .. keys.RUNS).ok ~= 'list' then call('DEL', key .. keys.RUNS) end
  local found = call('HMGET', key, 'source', 'definition', 'payload', 'paused', 'created_at', 'token')
  if found[1] and found[1] ~= request.source then return -1 end
  local score = call('ZSCORE', keys.SCHEDULES, one.name)
  -- One that was quarantined, as damaged, comes back when it is stored again.
  local goes_on = found[6] and (found[4] == '1' or score ~= 'inf' or one.next == '+inf')
  if score and goes_on and found[2] == one.definition and found[3] == one.payload then
    return found[6] == request.token and found[5] == request.now and 1 or 0
  end
  local created_at = found[5] or request.now
  call('HSET', key, 'source', request.source, 'definition', one.definition, 'payload', one.payload,
    'token', request.token, 'batch', one.batch, 'created_at', created_at, 'updated_at', request.now)
  call('HSET', record, 'type', one.type, 'created_at', created_at)
  call('ZADD', keys.SCHEDULES, found[4] == '1' and '+inf' or one.next, one.name)
  return found[1] and 0 or 1
end

for i, one in ipairs(request.schedules) do
  kept[one.name] = true
  answers[i] = put(one)
end
if request.only then
  local own = {}
  for _, job_type in ipairs(request.types) do own[job_type] = true end
  for _, name in ipairs(call('ZRANGE', keys.SCHEDULES, 0, -1)) do
    local key, may_go = keys.SCHEDULE .. name, name:sub(1, #PREFIX) == PREFIX and not kept[name]
    local found = may_go and pcall_redis('HMGET', key, 'source', 'batch') or {}
    local is_ours = found[1] == request.source
    local job_type = is_ours and found[2] and pcall_redis('HGET', keys.BATCH .. found[2], 'type')
    local is_others = type(job_type) == 'string' and not own[job_type] and rare.has_type(job_type)
    if is_ours and not is_others then
      call('DEL', key, key .. keys.RUNS, keys.BATCH .. (found[2] or ''))
      call('ZREM', keys.SCHEDULES, name)
    end
  end
end
return answers
