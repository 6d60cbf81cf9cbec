-- Holding a type while what its jobs work with is down, for workers that work with the same. One of its jobs at a time
-- is run to probe it, after waits that grow to a minute. A probe that fails again goes behind the others, since the
-- fault may be the job's.
-- rare
-- gives may_probe, note_down, note_up, note_probe, find_service
-- include base, held_types, worker/execution_records, worker/exchange_state, worker/types

local FIRST_WAIT, LONGEST_WAIT = 1, 60 -- seconds; once the service is up again, its jobs start within a minute
local KEPT_SECONDS = 900 -- should no worker with that service be left, nobody would ever end it
local REASON_LIMIT = 500 -- bytes: a person reads it in one line
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
local holds = {}

-- What this worker's jobs of the type work with, as a hash.
function rare.find_service(job_type)
  local _, last = known_types:find(' ' .. job_type .. '=', 1, true)
  local service = last and known_types:match('^@(%w+)', last + 1 + keys.CODE_LENGTH)
  return service or 'any'
end

local function name(job_type)
  return job_type .. ':' .. rare.find_service(job_type)
end

-- This worker's hold of a type, false where there is none.
local function find(job_type)
  if not are_held then return false end
  if holds[job_type] == nil then holds[job_type] = rare.read_hold(job_type, rare.find_service(job_type)) or false end
  return holds[job_type]
end

-- Whether this worker may start a job of the type: it is not held, or it is time for a probe and nobody makes one.
function rare.may_probe(job_type)
  local hold = find(job_type)
  if not hold then return true end
  if hold.probe_at_ms > now_ms then return false end
  return not (hold.probing and redis.pcall('ZSCORE', keys.LEASES, hold.probing))
end

-- A job of the type has started; where the type is held, it is the probe.
function rare.note_probe(job_type, member)
  local hold = find(job_type)
  if hold then
    hold.probing, hold.probe_at_ms = member, math.huge
    call('HSET', keys.HELD_TYPE .. name(job_type), 'probing', member)
  end
end

-- A job has found that what it works with is down: hold its type.
function rare.note_down(job_type, member, message)
  are_held = true
  local hold, key = find(job_type), keys.HELD_TYPE .. name(job_type)
  local wait = FIRST_WAIT
  redis.pcall('SADD', keys.HELD_TYPES, name(job_type)) -- also where somebody has moved that key away
  if hold then
    if hold.probing ~= member then return end -- it started before the type was held
    wait = math.min(2 * hold.wait_seconds, LONGEST_WAIT)
  end
  holds[job_type] = nil
  call('DEL', key)
  call('HSET', key, 'since', hold and hold.since or now_text, 'reason', message:sub(1, REASON_LIMIT),
    'wait_seconds', wait, 'probe_at_ms', string.format('%.0f', now_ms + wait * 1000))
  call('EXPIRE', key, KEPT_SECONDS)
end

-- A job of the type has ended otherwise: what it works with is up. Returns whether the type was held.
function rare.note_up(job_type)
  if not find(job_type) then return false end
  holds[job_type] = false
  call('DEL', keys.HELD_TYPE .. name(job_type))
  redis.pcall('SREM', keys.HELD_TYPES, name(job_type))
  return true
end
