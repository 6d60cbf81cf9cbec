-- Telling who watches jobs (errand/store/watch/) which ones a script has changed. Where nobody watches, asking for
-- that is all it costs.
-- gives touch, tell_touched
-- include base

local touched = {}

function touch(id) touched[#touched + 1] = id end

-- Every script that touches jobs ends with this.
function tell_touched()
  local listening = #touched > 0 and pcall_redis('PUBSUB', 'NUMSUB', keys.EVENTS)
  if listening and (listening[2] or 0) > 0 then call('PUBLISH', keys.EVENTS, table.concat(touched, ' ')) end
end
