-- How attempts have ended that did not succeed: errand:attempts:<job>, by their numbers.
-- rare
-- gives note_attempt
-- include base, clock, observe/notes

local notes

-- Write down the end of an attempt: `number` as the job's hash counts it, `error` JSON or nothing, `trace` as RQ packs
-- a traceback or ''. Nothing is written where the server is full: the work matters more.
function rare.note_attempt(id, number, outcome, by, started, ended, error, frame, trace)
  notes = notes or rare.open_notes()
  if not tonumber(number) or not notes.has_room() then return end
  local now_ms, key, sha = string.format('%.0f', now * 1000), keys.ATTEMPTS .. id, ''
  if trace ~= '' then
    sha = redis.sha1hex(trace)
    local trace_key = keys.TRACE .. sha
    call('SET', trace_key, trace, 'EX', keys.NOTES_SECONDS)
    notes.count(trace_key, #trace_key + #trace, now_ms)
  end
  local record = '{"worker":%s,"started":%s,"ended":%s,"outcome":"%s","error":%s,"frame":%s,"trace":"%s"}'
  call('HSET', key, number, string.format(record, cjson.encode(by), tonumber(started) and started or 'null', ended,
    outcome, error and error ~= '' and error or 'null', cjson.encode(frame), sha))
  call('EXPIRE', key, keys.NOTES_SECONDS)
  call('EXPIRE', keys.LOGS .. id, keys.NOTES_SECONDS) -- those of a job that ends well are not kept so long
  if call('HLEN', key) > keys.ATTEMPTS_LIMIT then
    local numbers = call('HKEYS', key)
    table.sort(numbers, function(one, other) return tonumber(one) < tonumber(other) end)
    call('HDEL', key, numbers[2]) -- the first is kept
  end
end
