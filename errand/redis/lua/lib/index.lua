-- The indexes of jobs by queue and type, and by tag, in the order of their creation; the workers take out what has
-- expired.
-- gives add_to_indexes, add_to_expiring
-- include base

-- Add jobs, {microseconds of their creation, id, …}, to the index of their queue and type and to those of their tags.
function add_to_indexes(queue, type, tags, entries)
  if #entries == 0 then return end
  local names = {keys.INDEX .. queue .. ':' .. type}
  for _, tag in ipairs(tags) do names[#names + 1] = keys.TAG .. tag end
  for _, name in ipairs(names) do
    call('ZADD', name, unpack(entries))
    call('ZADD', keys.INDEXES, 0, name)
  end
end

-- Note when the jobs of such entries expire. The sweep takes out, as of an index, those that are gone.
function add_to_expiring(expires_ms, entries)
  if #entries == 0 then return end
  for i = 1, #entries, 2 do entries[i] = expires_ms end
  call('ZADD', keys.EXPIRES, unpack(entries))
  call('ZADD', keys.INDEXES, 0, keys.EXPIRES)
end
