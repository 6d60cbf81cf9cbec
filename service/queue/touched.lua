-- Telling who watches jobs (service/queue/watch.py) which ones a script has changed. Where nobody watches, asking for that
-- is all it costs. A script has this text where it says «include touched.lua».

local touched = {}

local function touch(id) touched[#touched + 1] = id end

local function tell_touched()
  local listening = #touched > 0 and redis.pcall('PUBSUB', 'NUMSUB', 'errand:events')
  if listening and (listening[2] or 0) > 0 then redis.call('PUBLISH', 'errand:events', table.concat(touched, ' ')) end
end
