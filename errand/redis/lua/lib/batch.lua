-- A batch's record, which holds how each of its jobs has ended.
-- gives note_in_batch
-- include base, webhook

-- Note there how a job has ended. The record may be damaged or gone; the job's end must not suffer from that.
function note_in_batch(hash, id, status)
  local batch = call('HGET', hash, 'errand_batch')
  local found = batch and pcall_redis('HMGET', keys.BATCH .. batch, id, 'webhook', 'webhook_waits_for')
  if found and found[1] then
    call('HSET', keys.BATCH .. batch, id, status)
    local url, is_new = found[2] or WEBHOOK_URL, found[1] ~= status or status == ''
    if is_new and url and url ~= '' then rare.notify_batch_end(batch, id, status, url, found[3]) end -- '' is for nobody
  end
end
