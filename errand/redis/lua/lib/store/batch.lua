-- The jobs that a batch's record names.
-- gives is_member, list_batch
-- include base

local FIELDS = {type = true, created_at = true, webhook = true, webhook_waits_for = true}

-- Whether a field of the record is the id of a job.
function is_member(field)
  return not FIELDS[field]
end

-- The ids of a batch's jobs, in no order; none where there is no record.
function list_batch(batch)
  local ids, found = {}, pcall_redis('HKEYS', keys.BATCH .. batch)
  for _, id in ipairs(found.err and {} or found) do
    if is_member(id) then ids[#ids + 1] = id end
  end
  return ids
end
