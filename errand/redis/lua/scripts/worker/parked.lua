#!lua flags=allow-oom
-- Looks after the jobs that wait for a worker that can run them. Those whose payload fits no live worker's code any
-- more go back to the front of their queue: the worker that takes one fails it.
-- ARGV  how many of a kind may go back at most, for how many seconds the log needs no other line about those that wait
-- Returns for each kind that waits {queue, type, how many, why}; nothing where they were logged just now.
-- include base, parked, push

local waiting = {}

local function put_back(park)
  local ids = call('ZRANGE', park.key, 0, ARGV[1] - 1)
  for i = #ids, 1, -1 do
    push_job(park.queue, ids[i], true) -- first: it fails where the list is of a wrong type
    pcall_redis('HDEL', keys.JOB .. ids[i], 'errand_parked')
  end
  if #ids > 0 then call('ZREM', park.key, unpack(ids)) end
end

for _, park in ipairs(rare.list_parked()) do
  local size = park.codes and pcall_redis('ZCARD', park.key)
  if size == 0 then
    call('SREM', park.names, park.key)
  elseif type(size) == 'number' then
    local is_refused = park.codes ~= '' and not park.service
    if is_refused and not rare.fits_other(park.queue, park.type, park.codes) then pcall(put_back, park) end
    local reason, since = rare.describe_park(park)
    waiting[#waiting + 1] = {park.queue, park.type, size, since and reason .. ' (since ' .. since .. ')' or reason}
  end
end
for _, name in ipairs(pcall_redis('SMEMBERS', keys.HELD_TYPES)) do
  if call('EXISTS', keys.HELD_TYPE .. name) == 0 then call('SREM', keys.HELD_TYPES, name) end
end
wake_workers()
return #waiting > 0 and call('SET', keys.PARKED_LOGGED, '1', 'NX', 'EX', ARGV[2]) and waiting or {}
