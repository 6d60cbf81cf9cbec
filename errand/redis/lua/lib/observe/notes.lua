-- What is written down about jobs beside them, log lines and tracebacks: a tenth of the server's memory at most for all
-- together, where the oldest goes first, and nothing where the server is full. Scripts that may write in a full Redis
-- ask before they write; where nothing is written down, nothing is asked.
-- gives has_room_for_notes, note_bytes, forget_note
-- include base

local room

-- What the server has, in bytes: whether there is room, and how many for notes.
local function read_room()
  local info, limit, used = pcall_redis('INFO', 'memory'), 0, 0
  if type(info) == 'string' then
    limit = tonumber(info:match('maxmemory:(%d+)') or '') or 0
    used = tonumber(info:match('used_memory:(%d+)') or '') or 0
    used = used - (tonumber(info:match('mem_not_counted_for_evict:(%d+)') or '') or 0)
  end
  return {is_there = limit == 0 or used < limit,
    bytes = limit == 0 and keys.NOTES_LIMIT_BYTES or math.floor(limit * keys.NOTES_SHARE)}
end

function has_room_for_notes()
  room = room or read_room()
  return room.is_there
end

-- Take a note out of the count; its key is the caller's to delete.
function forget_note(key)
  local bytes = tonumber(call('HGET', keys.NOTES_BYTES, key) or '')
  if not bytes then return end
  call('HDEL', keys.NOTES_BYTES, key)
  call('ZREM', keys.NOTES, key)
  if call('HINCRBY', keys.NOTES_BYTES, 'total', -bytes) <= 0 then call('DEL', keys.NOTES_BYTES, keys.NOTES) end
end

-- Count a note of so many bytes, its key's name included, that was written just now; the oldest go where all of them
-- have more than their share.
function note_bytes(key, bytes, now_ms)
  room = room or read_room()
  local before = tonumber(call('HGET', keys.NOTES_BYTES, key) or '') or 0
  call('HSET', keys.NOTES_BYTES, key, bytes)
  call('ZADD', keys.NOTES, now_ms, key)
  local total = call('HINCRBY', keys.NOTES_BYTES, 'total', bytes - before)
  while total > room.bytes do
    local oldest = call('ZRANGE', keys.NOTES, 0, 0)[1]
    if not oldest then return end
    call('DEL', oldest)
    forget_note(oldest)
    total = tonumber(call('HGET', keys.NOTES_BYTES, 'total') or '') or 0
  end
end
