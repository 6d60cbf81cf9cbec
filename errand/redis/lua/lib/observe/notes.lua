-- What is written down about jobs beside them, log lines and tracebacks: a tenth of the server's memory at most for all
-- together, where the oldest goes first, and nothing where the server is full, also not by scripts that may write then.
-- All of it is in one function: each one that a script makes costs each of its calls, and most calls write nothing
-- down.
-- rare
-- gives open_notes
-- include base

-- What the server has, in bytes: whether there is room for anything, and how much for notes.
-- Return {has_room(), count(key, bytes, now_ms), forget(key)}.
function rare.open_notes()
  local notes, is_there, share = {}, nil, nil

  local function read_room()
    local info, limit, used = pcall_redis('INFO', 'memory'), 0, 0
    if type(info) == 'string' then
      limit = tonumber(info:match('maxmemory:(%d+)') or '') or 0
      used = tonumber(info:match('used_memory:(%d+)') or '') or 0
      used = used - (tonumber(info:match('mem_not_counted_for_evict:(%d+)') or '') or 0)
    end
    is_there = limit == 0 or used < limit
    share = limit == 0 and keys.NOTES_LIMIT_BYTES or math.floor(limit * keys.NOTES_SHARE)
  end

  function notes.has_room()
    if is_there == nil then read_room() end
    return is_there
  end

  -- Take a note out of the count; its key is the caller's to delete.
  function notes.forget(key)
    local bytes = tonumber(call('HGET', keys.NOTES_BYTES, key) or '')
    if not bytes then return end
    call('HDEL', keys.NOTES_BYTES, key)
    call('ZREM', keys.NOTES, key)
    if call('HINCRBY', keys.NOTES_BYTES, 'total', -bytes) <= 0 then call('DEL', keys.NOTES_BYTES, keys.NOTES) end
  end

  -- Count a note of so many bytes that was written just now; the oldest go where all have more than their share.
  function notes.count(key, bytes, now_ms)
    if is_there == nil then read_room() end
    local before = tonumber(call('HGET', keys.NOTES_BYTES, key) or '') or 0
    call('HSET', keys.NOTES_BYTES, key, bytes)
    call('ZADD', keys.NOTES, now_ms, key)
    local total = call('HINCRBY', keys.NOTES_BYTES, 'total', bytes - before)
    while total > share do
      local oldest = call('ZRANGE', keys.NOTES, 0, 0)[1]
      if not oldest then return end
      call('DEL', oldest)
      notes.forget(oldest)
      total = tonumber(call('HGET', keys.NOTES_BYTES, 'total') or '') or 0
    end
  end

  return notes
end
