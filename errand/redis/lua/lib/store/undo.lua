-- Undoing what lib/enqueue.lua wrote before one of its writes failed, at a key of a wrong type or without a permission.
-- gives undo_enqueue
-- include push, slots, job_keys

-- Take away what was written for the `groups` of a call, as far as it came, and return the error as an answer. All that
-- stood there before stands there after it; what can't be undone, since the key itself is wrong, was not done.
function undo_enqueue(groups, broken, KEYS, ARGV)
  local more = cjson.decode(ARGV[4])
  local expected = {keys.QUEUES, 'set', keys.INDEXES, 'zset', keys.EXPIRES, 'zset', keys.LIMITS, 'set',
    keys.BATCHES, 'zset', keys.BODIES, 'hash', keys.BODY_HOLDS, 'zset'}
  if more.claim then expected[#expected + 1], expected[#expected + 2] = KEYS[3], 'string' end

  local function expect(...)
    for _, word in ipairs({...}) do expected[#expected + 1] = word end
  end

  local function forget(id, group, indexes)
    local hash = keys.JOB .. id
    local status = redis.pcall('HGET', hash, 'status')
    if status == 'queued' then redis.pcall('LREM', keys.QUEUE .. group.queue, group.front and 1 or -1, id) end
    for _, registry in ipairs({keys.SCHEDULED, keys.DEFERRED, keys.CANCELED}) do
      redis.pcall('ZREM', registry .. group.queue, id)
    end
    for _, index in ipairs(indexes) do redis.pcall('ZREM', index, id) end
    for _, parent in ipairs(group.asked or group.after) do redis.pcall('SREM', keys.CHILDREN .. parent, id) end
    for _, parent in ipairs(group.after) do redis.pcall('SREM', keys.JOB .. parent .. keys.DEPENDENTS, id) end
    if group.limit then
      local limit = keys.LIMIT .. group.limit[1]
      for _, part in ipairs({keys.WAITING, keys.ALLOWED}) do redis.pcall('ZREM', limit .. part, id) end
    end
    for name in (more.bodies and redis.pcall('HGET', hash, 'errand_bodies') or ''):gmatch('%x+') do
      redis.pcall('ZREM', keys.BODY_HOLDS, name .. ':' .. id)
    end
    redis.call('DEL', hash, keys.JOB_LINKS .. id .. keys.DEPENDENCIES)
  end

  -- A limit says again how many may run; one that nobody used before goes.
  local function restore_limit(group)
    local name = group.limit[1]
    local limit = keys.LIMIT .. name
    if group.concurrency then
      redis.pcall('HSET', limit, 'concurrency', group.concurrency)
      pcall(rare.fill_slots, name)
    elseif redis.call('TYPE', limit).ok == 'hash' then
      redis.call('DEL', limit)
      redis.pcall('SREM', keys.LIMITS, name)
    end
  end

  -- A parent that was kept for one that waits for its requeue has its lifetime again.
  local function let_expire(parent, kept)
    if kept.seconds >= 0 then
      rare.expire_job(parent, kept.seconds)
      redis.call('EXPIRE', keys.RESULTS .. parent, kept.seconds)
    end
    if type(kept.score) == 'string' then redis.pcall('ZADD', kept.registry, 'XX', kept.score, parent) end
  end

  local function undo(group)
    local indexes = {keys.INDEX .. group.queue .. ':' .. group.type}
    for _, tag in ipairs(group.tags) do indexes[#indexes + 1] = keys.TAG .. tag end
    for _, index in ipairs(indexes) do expect(index, 'zset') end
    indexes[#indexes + 1] = group.expires_ms and keys.EXPIRES
    for _, registry in ipairs({keys.SCHEDULED, keys.DEFERRED, keys.CANCELED}) do
      expect(registry .. group.queue, 'zset')
    end
    expect(keys.QUEUE .. group.queue, 'list')
    for _, parent in ipairs(group.asked or group.after) do
      expect(keys.CHILDREN .. parent, 'set', keys.JOB .. parent, 'hash', keys.JOB .. parent .. keys.DEPENDENTS, 'set')
    end
    if group.limit then
      local limit = keys.LIMIT .. group.limit[1]
      expect(limit, 'hash', limit .. keys.WAITING, 'zset', limit .. keys.ALLOWED, 'zset')
    end
    for i = #(group.entries or {}), 2, -2 do forget(group.entries[i], group, indexes) end
    for _, index in ipairs(group.entries and indexes or {}) do
      if redis.call('EXISTS', index) == 0 then redis.pcall('ZREM', keys.INDEXES, index) end
    end
    if group.entries and group.limit then restore_limit(group) end
    for parent, kept in pairs(group.kept or {}) do
      let_expire(parent, kept)
      expect(kept.registry, 'zset')
    end
    local is_new = group.is_new_queue or woken[group.queue] == 1
    if is_new then redis.pcall('SREM', keys.QUEUES, keys.QUEUE .. group.queue) end
  end

  for i = #groups, 1, -1 do undo(groups[i]) end
  for i = 4, #KEYS do expect(KEYS[i], 'hash') end
  for _, body in ipairs(more.bodies and more.bodies.all or {}) do
    expect(keys.BODY .. body[1], 'string')
    redis.pcall('ZADD', keys.BODY_HOLDS, 0, body[1] .. ':' .. more.bodies.holder)
  end
  if groups.has_batch then
    redis.call('DEL', KEYS[2])
    redis.pcall('ZREM', keys.BATCHES, KEYS[2]:match('[^:]+$'))
  end
  if groups.has_claim then redis.call('DEL', KEYS[3]) end
  -- paste store/wrong_type
  return {err = name_wrong(broken, expected)}
end
