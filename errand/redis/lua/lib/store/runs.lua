-- The runs of a schedule, newest first, and the record in which their jobs note how they ended.
-- gives add_runs, trim_runs
-- include base

-- Note runs, JSON and oldest first, and the job of one of them, nil where none has one; return how many runs there are.
function add_runs(key, record, runs, job)
  -- The script that ends the job notes there how; the record is no batch whose end a webhook could report.
  if job then call('HSET', record, 'webhook', '', job, '') end
  return call('LPUSH', key .. keys.RUNS, unpack(runs))
end

-- Forget all but so many of `size` runs.
function trim_runs(key, record, size, kept)
  if size <= kept then return end
  for _, run in ipairs(call('LRANGE', key .. keys.RUNS, kept, -1)) do
    local readable, old = pcall(cjson.decode, run)
    call('HDEL', record, readable and type(old) == 'table' and old.job or '')
  end
  call('LTRIM', key .. keys.RUNS, 0, kept - 1)
end
