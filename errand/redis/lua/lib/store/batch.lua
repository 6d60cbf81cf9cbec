-- The jobs that a batch's record names, and how they stand.
-- gives is_member, list_batch, count_batch
-- include base

local FIELDS = keys.BATCH_FIELDS

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

-- The jobs of a record by status, and what it does not say yet: id and status of those that have ended, flat. With
-- `is_quick` a job noted as finished is not looked up: nothing of ours queues it again. Then how many were looked up,
-- and how many were not.
function count_batch(record, is_quick)
  local ENDED, counts, news, looked, known = keys.ENDED, {}, {}, 0, 0
  for i = 1, #record, 2 do
    local id, kept = record[i], record[i + 1]
    if is_member(id) then
      local status = kept
      if is_quick and kept == 'finished' then
        known = known + 1
      else
        status = call('HGET', keys.JOB .. id, 'status') or (kept ~= '' and kept) or 'deleted'
        looked = looked + 1
      end
      if ENDED[status] and status ~= kept then news[#news + 1], news[#news + 2] = id, status end
      counts[status] = (counts[status] or 0) + 1
    end
  end
  return counts, news, looked, known
end
