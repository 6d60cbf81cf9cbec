#!lua flags=allow-oom
-- Finds jobs that have not ended and are in no list, registry, lease or parked place, by one pass an hour over the
-- indexes, and puts them back: to the front of their queue, or to their time. The workers share the pass: where it has
-- come to is kept. A job is put back when it was found so twice, a minute apart at least: a plain worker that takes a
-- job has it for a moment without a trace of it anywhere.
-- ARGV  how many ids at most, the least time between two calls and between the beginnings of two passes, in
--       milliseconds, and between the two looks at a job, in seconds
-- Returns how many ids were looked at, and of each status how many were put back: status, count, ….
-- include base, clock, time, events, push, jobs, store/lost_jobs, observe/oldest

local ENDED = keys.ENDED
local SUSPECTS, PLACES = 50, 50000 -- jobs found before, and places of lists, that are looked at in one step
local now_ms = math.floor(read_time() / 1000)
local looked, oldest, back = 0, {}, {}
local found = call('HMGET', keys.LOST_LOOK, 'name', 'rank', 'at', 'begun')
local name, rank = found[1] or '', tonumber(found[2] or '') or 0
local at, begun = tonumber(found[3] or '') or 0, tonumber(found[4] or '')
if now_ms >= at and now_ms < at + ARGV[2] then return {0} end
local is_due = name ~= '' or not begun or now_ms >= begun + ARGV[3] or now_ms < begun
if not is_due and call('EXISTS', keys.LOST) == 0 then return {0} end -- most of the hour: nothing is written

local function forget_executions(id)
  for _, execution in ipairs(pcall_redis('ZRANGE', keys.EXECUTIONS .. id, 0, -1)) do
    call('DEL', keys.EXECUTION .. id .. ':' .. execution)
    call('ZREM', keys.EXECUTIONS .. id, execution)
  end
end

local function put_back(id, job)
  local hash = keys.JOB .. id
  if job.status == 'scheduled' then
    call('ZADD', keys.SCHEDULED .. job.queue, call('HGET', hash, 'errand_due') or math.floor(now), id)
    call('SADD', keys.QUEUES, keys.QUEUE .. job.queue)
    call('HDEL', hash, 'errand_due')
    touch(id)
  elseif job.status == 'deferred' then
    call('ZADD', keys.DEFERRED .. job.queue, math.floor(now), id) -- whether it still waits is looked at there
  else
    forget_executions(id)
    if job.status == 'started' then call('HINCRBY', hash, 'errand_interruptions', 1) end
    rare.queue_job(id, job.queue, true)
  end
  back[job.status] = (back[job.status] or 0) + 1
end

-- Look again at those that were found a while ago.
local function settle_suspects()
  local before = string.format('%d', math.floor(now) - ARGV[4])
  for _, id in ipairs(call('ZRANGE', keys.LOST, '-inf', before, 'BYSCORE', 'LIMIT', 0, SUSPECTS)) do
    if get_searched() > PLACES then return end
    call('ZREM', keys.LOST, id)
    local job = rare.read_job(id)
    if job and is_lost(id, job) then pcall(put_back, id, job) end
  end
end

-- A queue's jobs leave it in the order of their times: one that is younger than those at its head may be behind them.
local function may_be_behind(queue, since)
  if oldest[queue] == nil then oldest[queue] = find_oldest(queue, {}) end
  return oldest[queue] and since and since >= oldest[queue]
end

local function look(id)
  local found = pcall_redis('HMGET', keys.JOB .. id, 'status', 'origin', 'enqueued_at') -- most have ended, or wait
  if found.err or not found[1] or ENDED[found[1]] then return end
  if found[1] == 'queued' and found[2] and may_be_behind(found[2], found[3]) then return end
  local job = rare.read_job(id)
  if job and is_lost(id, job) then call('ZADD', keys.LOST, 'NX', math.floor(now), id) end
end

-- Look at some ids of one index; return how many, and whether that is all that this step may do.
local function look_at(key, first, limit)
  local ids = pcall_redis('ZRANGE', key, first, first + limit - 1)
  for i, id in ipairs(ids) do
    look(id)
    if get_searched() > PLACES then return i, true end
  end
  return #ids, false
end

local function go_on(left)
  local is_done = get_searched() > PLACES
  while left > 0 and not is_done do
    local key = call('ZRANGE', keys.INDEXES, '[' .. name, '(' .. keys.INDEX .. '\255', 'BYLEX', 'LIMIT', 0, 1)[1]
    if not key then
      name, rank = '', 0
      return
    end
    if key ~= name then name, rank = key, 0 end
    local seen
    seen, is_done = look_at(key, rank, left)
    looked, rank = looked + seen, rank + seen
    if seen < left and not is_done then name, rank = key .. '\0', 0 end
    left = left - seen - 1
  end
end

settle_suspects()
if name == '' and is_due then name, begun = keys.INDEX, now_ms end
if name ~= '' then go_on(tonumber(ARGV[1])) end
call('HSET', keys.LOST_LOOK, 'name', name, 'rank', rank, 'at', string.format('%.0f', now_ms), 'begun',
  string.format('%.0f', begun))
wake_workers()
publish_touched()
local answer = {looked}
for status, count in pairs(back) do answer[#answer + 1], answer[#answer + 2] = status, count end
return answer
