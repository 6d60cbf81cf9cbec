-- Publishing to those who watch jobs (errand/store/watch/) which ones a script has changed. Where nobody watches, all
-- it costs is to ask for that.
-- gives touch, publish_touched
-- include base

local touched = {}

function touch(id) touched[#touched + 1] = id end

-- Every script that touches jobs ends with this.
function publish_touched()
  local listening = #touched > 0 and pcall_redis('PUBSUB', 'NUMSUB', keys.EVENTS)
  if listening and (listening[2] or 0) > 0 then call('PUBLISH', keys.EVENTS, table.concat(touched, ' ')) end
end
