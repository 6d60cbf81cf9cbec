-- Taking a job out of its queue's list, untaken.
-- rare
-- gives drop_job, searched
-- include base

local NEAR = 1000 -- places from either end that are looked at first
rare.searched = 0 -- how many places of lists were looked at

-- Take a job out of its queue's list: mostly it is near one of the ends, and the list may be very long.
function rare.drop_job(queue, id)
  local key, reach = keys.QUEUE .. queue, NEAR
  local size = call('LLEN', key)
  while size > 0 do
    for side = 1, -1, -2 do
      rare.searched = rare.searched + math.min(reach, size)
      if reach >= size then return call('LREM', key, side, id) end
      if call('LPOS', key, id, 'RANK', side, 'MAXLEN', reach) then return call('LREM', key, side, id) end
    end
    reach = reach * 10
  end
end
