-- One request over and over, for wrk; its arguments: method, a file with the body or '-', the Authorization header or '-'.
-- The last line of the output is JSON, which bench/load.py reads.

function init(args)
  wrk.method = args[1]
  wrk.headers['Content-Type'] = 'application/json'
  if args[2] ~= '-' then
    local file = assert(io.open(args[2], 'rb'))
    wrk.body = file:read('*a')
    file:close()
  end
  if args[3] ~= '-' then wrk.headers['Authorization'] = args[3] end
end

function done(summary, latency, requests)
  local errors = summary.errors
  print(string.format(
    '{"answers":%d,"seconds":%.6f,"refused":%d,"broken":%d,"p50_ms":%.3f,"p99_ms":%.3f}',
    summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
