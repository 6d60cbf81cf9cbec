-- The jobs that a batch's record names, and how they stand.
-- gives is_member, list_batch, count_batch
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

-- The jobs of a record by status, how many they are, and what it does not say yet: id and status of those that have
-- ended, flat.
function count_batch(record)
  local ENDED, counts, total, news = keys.ENDED, {}, 0, {}
  for i = 1, #record, 2 do
    local id, kept = record[i], record[i + 1]
    if is_member(id) then
      local status = call('HGET', keys.JOB .. id, 'status') or (kept ~= '' and kept) or 'deleted'
      if ENDED[status] and status ~= kept then news[#news + 1], news[#news + 2] = id, status end
      counts[status], total = (counts[status] or 0) + 1, total + 1
    end
  end
  return counts, total, news
end
