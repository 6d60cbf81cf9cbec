#!lua
-- Stores a job under a unique key, unless one waits or runs under it: then nothing is stored, or that one is replaced.
-- Whether the one that holds the key has ended is asked of its record here, so that ends of jobs cost nothing.
-- KEYS  those of `enqueue` in lib/enqueue.lua for one job, and the unique key
-- ARGV  those of `enqueue`; in its JSON there is `unique`: {replace: whether one that waits for its time, and has not
--       begun, becomes this one}
-- Returns what `enqueue` does; -5 with the id and the status of the job that holds the key, or -6 with those of the one
-- that was replaced. Where the bodies that a request holds are not stored with a job, they go.
-- include base, events, jobs, store/bodies, store/after_batch, store/wrong_type, enqueue

local KEYS_OF_JOB, UNIQUE = {KEYS[1], KEYS[2], KEYS[3], KEYS[4]}, KEYS[5]
local ttl_seconds, more = ARGV[3], cjson.decode(ARGV[4])
local ENDED = keys.ENDED

local function store()
  return wait_for_batches(KEYS_OF_JOB, ARGV) or enqueue(KEYS_OF_JOB, ARGV, more.bodies
    and {find_lost = find_lost_body, hold = hold_bodies, let_go = let_go_of_body})
end

-- The claim's record says for a request that is sent again with which job it was answered.
local function note_claim(id, how, status)
  if not more.claim then return end
  more.claim.record.id, more.claim.record.unique, more.claim.record.status = id, how, status
end

local function keep_claim()
  if more.claim then call('SET', KEYS[3], cjson.encode(more.claim.record), 'EX', more.claim.kept_seconds) end
end

-- The job that holds the key; nothing where there is none (any more) or where it has ended.
local function find_holder()
  local id = call('GET', UNIQUE)
  local found = id and pcall_redis('HMGET', keys.JOB .. id, 'status', 'origin', 'description', 'errand_tags',
    'errand_bodies', 'errand_attempts', 'started_at', 'errand_replaced')
  if not found or found.err or not found[1] or ENDED[found[1]] then return nil end
  return {id = id, status = found[1], queue = found[2] or '', type = found[3] or '',
    tags = rare.read_list(found[4]) or {}, bodies = found[5],
    has_begun = (found[6] or '0') ~= '0' or (found[7] or '') ~= '', replaced_by = found[8]}
end

local function may_replace(holder)
  if holder.status ~= 'scheduled' or holder.has_begun then return false end
  local due = pcall_redis('ZSCORE', keys.SCHEDULED .. holder.queue, holder.id)
  if due and due.err then error(name_wrong(due, {keys.SCHEDULED .. holder.queue, 'zset'})) end
  return due
end

-- Let go of the bodies that the job had before and has no more.
local function let_go_of_old(holder, hash)
  local held = call('HGET', hash, 'errand_bodies') or ''
  for name in holder.bodies:gmatch('%x+') do
    if not held:find(name, 1, true) then pcall(let_go_of_body, name, holder.id) end
  end
end

-- The sorted sets that have the job, each with its score there.
local function find_scores(holder)
  local index = keys.INDEX .. holder.queue .. ':' .. holder.type
  local scores, sets = {}, {keys.SCHEDULED .. holder.queue, keys.EXPIRES, index}
  for _, tag in ipairs(holder.tags) do sets[#sets + 1] = keys.TAG .. tostring(tag) end
  for _, set in ipairs(sets) do
    local score = pcall_redis('ZSCORE', set, holder.id)
    if type(score) == 'string' then scores[set] = score end
  end
  return scores
end

-- Put the job away, but not its dependents, and store the new one under its id; where that is not stored, the job is
-- there again as it was. What holds the new bodies is the request until then, so that one that both have stays.
local function replace(holder)
  local lost = more.bodies and find_lost_body(more.bodies.all)
  if lost then return {-4, lost} end
  local hash, own, scores = keys.JOB .. holder.id, KEYS[4]:sub(#keys.JOB + 1), find_scores(holder)
  local aside = hash .. ':replaced'
  for set in pairs(scores) do call('ZREM', set, holder.id) end
  call('RENAME', hash, aside)
  KEYS_OF_JOB[4] = hash
  note_claim(holder.id, 'replaced')
  ARGV[4] = cjson.encode(more)
  local ok, status = pcall(store)
  if not ok then status = {err = name_wrong(status, {})} end
  if type(status) == 'table' then
    call('RENAME', aside, hash)
    for set, score in pairs(scores) do
      call('ZADD', set, score, holder.id)
      if set ~= keys.SCHEDULED .. holder.queue then pcall_redis('ZADD', keys.INDEXES, 0, set) end
    end
    return status
  end
  touch(holder.id)
  call('DEL', aside)
  if holder.bodies then let_go_of_old(holder, hash) end
  call('HSET', hash, 'errand_replaced', own)
  call('EXPIRE', UNIQUE, ttl_seconds, 'GT')
  return {-6, holder.id, status}
end

local function answer()
  local found = more.claim and call('GET', KEYS[3])
  if found then return {-2, found} end
  if call('EXISTS', KEYS[4]) == 1 then return store() end -- this very call, sent again because its reply was lost
  local holder = find_holder()
  if holder and holder.replaced_by == KEYS[4]:sub(#keys.JOB + 1) then return {-6, holder.id, holder.status} end
  if holder and not more.unique.replace then
    call('EXPIRE', UNIQUE, ttl_seconds, 'GT')
    note_claim(holder.id, 'existing', holder.status)
    keep_claim()
    return {-5, holder.id, holder.status}
  end
  if holder and may_replace(holder) then return replace(holder) end
  local status = store()
  if type(status) == 'string' then call('SET', UNIQUE, KEYS[4]:sub(#keys.JOB + 1), 'EX', ttl_seconds) end
  return status
end

local ok, result = pcall(answer)
if not ok then
  local expected = {KEYS[3], more.claim and 'string' or 'set', UNIQUE, 'string', keys.INDEXES, 'zset', keys.EXPIRES,
    'zset'}
  result = {err = name_wrong(result, expected)}
end
if more.bodies and type(result) == 'table' then -- where they are stored, the request holds them no more
  for _, body in ipairs(more.bodies.all) do pcall(let_go_of_body, body[1], more.bodies.holder) end
end
return result
