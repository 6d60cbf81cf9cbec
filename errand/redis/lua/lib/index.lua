-- The indexes of jobs by queue and type, and by tag, in the order of their creation; the workers take out what has
-- expired.
-- gives add_to_indexes
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
