-- Webhooks: what notifies a URL of an end is a job too, stored in the step that records the end. The script is
-- assembled with the JSON of such a job, {queue, type, path, parameter, fields: [field, value, …], ceilings: [seconds,
-- …]}, and with the URL that hears of all ends (errand/webhook/webhooks.py); nothing is sent without.
-- takes WEBHOOK_TEMPLATE, WEBHOOK_URL
-- rare
-- gives notify_end, notify_batch_end
-- include base, clock, index, push, faults

local BATCH_ENDS = keys.BATCH_ENDED
local BATCH_FIELDS = keys.BATCH_FIELDS

-- A UUID out of what makes an end this one: a job's attempts and requeues make its ends differ.
local function derive_id(...)
  local hex = redis.sha1hex(table.concat({...}, ' '))
  local parts = {hex:sub(1, 8), hex:sub(9, 12), '5' .. hex:sub(14, 16), '8' .. hex:sub(18, 20), hex:sub(21, 32)}
  return table.concat(parts, '-')
end

-- Full jitter, as in errand/contract/retry.py. Redis 7 gives every script the same random numbers unless it brings a
-- seed.
local function draw_waits(ceilings, id)
  local waits = {}
  math.randomseed(tonumber(id:sub(1, 7), 16))
  for i, ceiling in ipairs(ceilings) do waits[i] = math.max(1, math.floor(math.random() * ceiling + 0.5)) end
  return cjson.encode(waits)
end

-- Store a webhook's job unless it is there already, with the lifetimes of the job that has ended. Of the writes the
-- first may fail, where a key is of a wrong type; nothing is left behind then.
local function store_webhook(template, id, ttls, payload)
  local hash = keys.JOB .. id
  if call('EXISTS', hash) == 1 then return end
  local data = '["' .. template.path .. '",null,[],' .. cjson.encode({[template.parameter] = payload}) .. ']'
  local fields = {'status', 'queued', 'created_at', now_text, 'enqueued_at', now_text, 'data', data}
  for _, value in ipairs(template.fields) do fields[#fields + 1] = value end
  for name, value in pairs(ttls) do
    if value and value ~= '' then fields[#fields + 1], fields[#fields + 2] = name, value end
  end
  if #template.ceilings > 0 then
    fields[#fields + 1], fields[#fields + 2] = 'retry_intervals', draw_waits(template.ceilings, id)
  end
  push_job(template.queue, id, false)
  call('HSET', hash, unpack(fields))
  pcall(add_to_indexes, template.queue, template.type, {}, {string.format('%.0f', now * 1000000), id})
end

local function send_end(id, status, url, ended_at, result)
  local template = cjson.decode(WEBHOOK_TEMPLATE)
  local found = call('HMGET', keys.JOB .. id, 'description', 'origin', 'created_at', 'started_at', 'ended_at',
    'errand_attempts', 'errand_requeue', 'errand_batch', 'errand_tags', 'errand_error', 'result_ttl', 'failure_ttl')
  for i = 1, 12 do found[i] = found[i] ~= '' and found[i] or false end
  if found[1] == template.type then return end
  local data = {id = id, type = found[1] or '', queue = found[2] or '', status = status,
    created_at = found[3] or cjson.null, started_at = found[4] or cjson.null,
    ended_at = ended_at or found[5] or now_text, attempts = tonumber(found[6] or '') or 0,
    batch = found[8] or nil, tags = found[9] and cjson.decode(found[9]) or nil}
  if status == 'finished' then data.result = cjson.null
  elseif found[10] then data.error = cjson.decode(found[10]) end
  local payload = {url = url, type = 'job.' .. status, timestamp = data.ended_at, data = data}
  if result ~= '' then payload.result_base64 = result end
  store_webhook(template, derive_id(id, status, found[6] or '', found[7] or ''),
    {result_ttl = found[11], failure_ttl = found[12]}, payload)
end

-- Count a batch's jobs; or return the first found that has not ended, from the last stored backwards: that one ends
-- late.
local function count_ends(record, id, status)
  local found, counts, total = call('HGETALL', record), {}, 0
  for word in pairs(BATCH_ENDS) do counts[word] = 0 end
  for i = #found - 1, 1, -2 do
    local one, kept = found[i], found[i + 1]
    if not BATCH_FIELDS[one] then
      local word = one == id and status or pcall_redis('HGET', keys.JOB .. one, 'status')
      word = type(word) == 'string' and word ~= '' and word or kept ~= '' and kept or 'deleted'
      if not BATCH_ENDS[word] then return nil, one end
      counts[word], total = counts[word] + 1, total + 1
    end
  end
  counts.total = total
  return counts
end

local function send_batch_end(batch, id, status, url, watched)
  local record, template = keys.BATCH .. batch, cjson.decode(WEBHOOK_TEMPLATE)
  -- The record names a job that had not ended: the others need not be looked at until that one has.
  if watched and watched ~= id then
    local word = pcall_redis('HGET', keys.JOB .. watched, 'status')
    if type(word) == 'string' and not BATCH_ENDS[word] then return end
  end
  local data, open = count_ends(record, id, status)
  if open then return call('HSET', record, 'webhook_waits_for', open) end
  local batch_of = call('HMGET', record, 'type', 'created_at')
  if batch_of[1] == template.type then return end
  local found = call('HMGET', keys.JOB .. id, 'errand_attempts', 'errand_requeue', 'result_ttl', 'failure_ttl')
  data.id, data.type, data.created_at, data.ended_at = batch, batch_of[1], batch_of[2], now_text
  local payload = {url = url, type = 'batch.ended', timestamp = now_text, data = data}
  store_webhook(template, derive_id(batch, id, status, found[1] or '', found[2] or ''),
    {result_ttl = found[3], failure_ttl = found[4]}, payload)
end

-- Call a function; where it fails, at a key of a wrong type, the end of the job must not suffer from that.
local function attempt(send, name, id, ...)
  local ok, broken = pcall(send, id, ...)
  if not ok then
    redis.log(redis.LOG_WARNING, 'errand: no webhook for ' .. name .. ' ' .. id .. ': ' .. rare.describe_fault(broken))
  end
end

-- Store the webhook for a job's own URL, or for the one that hears of all ends. Call it when the end is recorded, or
-- give `ended_at` and, as RQ keeps it, the `result`.
function rare.notify_end(id, status, url, ended_at, result)
  url = url or WEBHOOK_URL
  if WEBHOOK_TEMPLATE and url then attempt(send_end, 'job', id, status, url, ended_at, result or '') end
end

-- Store the webhook for a batch's URL if the job that now ends is its last; `watched` is the record's field
-- webhook_waits_for. A job that is deleted unended has the status ''.
function rare.notify_batch_end(batch, id, status, url, watched)
  if WEBHOOK_TEMPLATE then attempt(send_batch_end, 'batch', batch, id, status, url, watched) end
end
