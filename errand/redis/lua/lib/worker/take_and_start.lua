-- Taking jobs from their queues, with all of RQ's start records and our lease.
-- gives take, take_again, look_at_expiries
-- include base, clock, events, jobs, faults, push
-- include parked, worker/execution_records, worker/end_lease, worker/quarantine, worker/rates, worker/types
-- include worker/hold_types, worker/park
-- include worker/record_reports, worker/expiry

local FIELDS = {'data', 'status', 'origin', 'created_at', 'timeout', 'result_ttl', 'failure_ttl', 'retries_left',
  'description', 'errand_losses', 'success_callback_name', 'failure_callback_name', 'stopped_callback_name',
  'errand_attempts', 'errand_progress', 'errand_error', 'enqueued_at'}
local NOT_QUEUED = keys.NOT_QUEUED

local NUMBERS = {5, 6, 7, 8, 10, 14} -- of these fields

local function find_fault(found)
  if not found[1] then return 'there is no data in it' end
  if #found[1] > keys.DATA_BYTES then
    return 'its payload has ' .. #found[1] .. ' bytes, more than ' .. keys.DATA_BYTES
  end
  if found[2] and found[2] ~= 'queued' then return 'there is no status ' .. found[2] end
  if found[4] and not found[4]:match('^%d%d%d%d%-%d%d%-%d%d') then return 'created_at is no time: ' .. found[4] end
  for _, i in ipairs(NUMBERS) do
    if found[i] and found[i] ~= '' and not found[i]:match('^-?%d+%.?%d*$') then
      return FIELDS[i] .. ' is no number: ' .. found[i]
    end
  end
  return false
end

-- An `rq info`, the dashboard or a plain worker beside us fails whatever has passed its score, by its own host's clock:
-- the registries hold what is ours under RQ's form of a lifetime of -1. The lease alone judges; what has lost it is let
-- go with all of these (worker/end_lease, scripts/worker/orphans). Should all that fail, the server forgets the keys.
local NO_END, KEPT_SECONDS = '+inf', 366 * 86400

local function start(id, execution, queue, found, place)
  local hash, member = keys.JOB .. id, id .. ':' .. execution
  local key, executions = keys.EXECUTION .. member, keys.EXECUTIONS .. id
  local attempts = (tonumber(found[14] or '') or 0) + 1
  touch(id)
  call('PERSIST', hash)
  call('HSET', hash, 'status', 'started', 'started_at', now_text, 'last_heartbeat', now_text, 'worker_name', worker,
    'errand_attempts', attempts)
  if found[3] ~= queue then call('HSET', hash, 'origin', queue) end
  if found[15] or found[16] then
    call('HDEL', hash, 'errand_progress', 'errand_error', 'errand_frame')
    pcall_redis('ZREM', keys.RETRYING_JOBS .. queue, id)
  end
  call('HSET', key, 'id', execution, 'job_id', id, 'created_at', string.format('%.6f', now + place / 1000000),
    'last_heartbeat', ARGV[4], 'worker_name', worker)
  call('EXPIRE', key, KEPT_SECONDS)
  call('ZADD', executions, NO_END, execution)
  call('EXPIRE', executions, KEPT_SECONDS)
  return {id = id, execution = execution, member = member, queue = queue, attempt = attempts}
end

-- A job as the worker gets it; when it expires comes last, where it does.
local function describe(id, execution, queue, found, attempt, expires_ms)
  local callback = ''
  for i = 11, 13 do if found[i] and found[i] ~= '' then callback = found[i] end end
  return {id, execution, queue, found[1], found[5] or '180', found[6] or '', found[7] or '', found[9] or '',
    found[10] and found[10] ~= '' and found[10] or '0', callback, found[4] or '', found[17] or '', attempt,
    expires_ms and string.format('%.0f', expires_ms)}
end

local started, may_expire = {}, false

-- Look from now on, for each job taken, whether its time is over.
function look_at_expiries()
  may_expire = call('EXISTS', keys.EXPIRES) == 1
end

local function take_one(id, queue, execution, place)
  local found = pcall_redis('HMGET', keys.JOB .. id, unpack(FIELDS))
  if found.err then
    quarantined[#quarantined + 1] = rare.quarantine(id, 'it is a ' .. call('TYPE', keys.JOB .. id).ok .. ', no hash')
  -- An id may be in the list twice, pushed by a client whose reply was lost: only a queued job is run.
  elseif not NOT_QUEUED[found[2]] and (found[1] or call('EXISTS', keys.JOB .. id) == 1) then
    local expires_ms = may_expire and rare.find_expiry(id) or nil
    if expires_ms and rare.is_over(expires_ms) then
      local fate, broken = rare.expire(id)
      if broken then quarantined[#quarantined + 1] = broken end
      if fate ~= 'past' then return end
    end
    local fault = not id:match('^[%w_-]+$') and "its id has other characters than letters, digits, - and _"
      or find_fault(found)
    local unknown = not fault and name_unknown(found[9] or '', found[1])
    if unknown then return rare.park(id, rare.build_park(queue, unknown, '')) end
    local is_rated = not fault and rates[found[9]]
    if is_rated and not rare.may_start(found[9]) then return rare.park(id, rare.build_rated(queue, found[9])) end
    local held_type = are_held and not fault and name_type(found[9] or '')
    if held_type and not rare.may_probe(held_type) then
      return rare.park(id, rare.build_hold(queue, held_type, rare.find_service(held_type)))
    end
    if not fault then
      local job = start(id, execution, queue, found, place)
      started[#started + 1] = job
      if is_rated then rare.note_start(found[9]) end
      if held_type then rare.note_probe(held_type, job.member) end
      return describe(id, execution, queue, found, job.attempt, expires_ms)
    end
    quarantined[#quarantined + 1] = rare.quarantine(id, fault)
  end
end

-- What all that was taken has in common, in one command each. Returns whether all of it could be written.
local function hold_started()
  local leases, members, queues = {}, {}, {}
  for i, job in ipairs(started) do
    leases[2 * i - 1], leases[2 * i], members[i] = lease_ends_ms, job.member, job.member
    local wip = queues[job.queue] or {}
    queues[job.queue] = wip
    wip[#wip + 1] = NO_END
    wip[#wip + 1] = job.member
  end
  local whole = pcall_redis('ZADD', keys.LEASES, unpack(leases)) == #members
  whole = pcall_redis('SADD', name_held(worker), unpack(members)) == #members and whole
  for queue, wip in pairs(queues) do
    whole = pcall_redis('ZADD', keys.WIP .. queue, unpack(wip)) == #wip / 2 and whole
  end
  return whole
end

-- Take so many jobs at most, from `first` on; return their descriptions.
function take(want, queues, first, in_turn, executions)
  local taken, turn = {}, first
  while #taken < want and #queues > 0 and not is_full() and not has_expired_many() do
    local queue = queues[turn]
    local ids = has_parked(queue) and rare.pop_parked(queue)
      or pcall_redis('LPOP', keys.QUEUE .. queue, in_turn and #queues > 1 and 1 or want - #taken)
    for _, id in ipairs(ids or {}) do
      local execution = executions[#taken + 1]
      local ok, described = pcall(take_one, id, queue, execution, #taken)
      if ok then
        taken[#taken + 1] = described
      else
        -- paste worker/not_started
        settle_untaken(id, queue, execution, described)
      end
    end
    if not ids or ids.err then -- nobody fills it while this runs; nothing can be in one of a wrong type
      table.remove(queues, turn)
      if turn > #queues then turn = 1 end
    elseif in_turn then
      turn = turn % #queues + 1
    end
  end
  if #taken == 0 or hold_started() then return taken end
  -- paste worker/return_unheld
  local kept, left = put_back(taken, started, queues, executions)
  started = {}
  if #kept < #taken and #queues > 0 then -- what could not be held must not keep others from being taken
    for _, job in ipairs(take(want - #kept, queues, 1, in_turn, left)) do kept[#kept + 1] = job end
  end
  return kept
end

-- Return again what was taken under these executions: the reply was lost.
function take_again(executions)
  local taken, mine = {}, {}
  for _, execution in ipairs(executions) do mine[execution] = true end
  for _, member in ipairs(pcall_redis('SMEMBERS', name_held(worker))) do
    local id, execution = split(member)
    if mine[execution] then
      local found = rare.is_hash(keys.JOB .. id) and call('HMGET', keys.JOB .. id, unpack(FIELDS))
      if found and found[1] and found[3] then
        local attempt = tonumber(found[14] or '') or 1
        taken[#taken + 1] = describe(id, execution, found[3], found, attempt, rare.find_expiry(id))
      else -- somebody deleted it meanwhile
        rare.release(id, execution)
      end
    end
  end
  return taken
end
