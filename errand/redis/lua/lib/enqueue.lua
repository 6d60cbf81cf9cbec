-- Storing jobs, with RQ's own fields and keys, all or none, in one step.
-- gives enqueue
-- include base, clock, events, push, canceled, keep_dead_letters, index, slots

local groups = {} -- what is stored, each with what was done for it: the status, and the entries of those that are new

local function store_all(KEYS, ARGV, bodies)
  local ttl_seconds, more = ARGV[3], cjson.decode(ARGV[4])
  local statuses, at, nth = {}, 5, 4
  now, now_text = tonumber(ARGV[1]), ARGV[2]

  local found = more.claim and call('GET', KEYS[3])
  if found then return {-2, found} end

  -- RQ takes an unknown parent for a finished one and lets the child of a failed one wait for ever.
  local function judge(group)
    local status = group.score and 'scheduled' or group.limit and 'rate_limited' or 'queued'
    if group.fate or #group.after == 0 then return group.fate or status end
    local ENDED_BADLY = keys.ENDED_BADLY
    for _, parent in ipairs(group.after) do
      local found = call('HGET', keys.JOB .. parent, 'status')
      local failed = ENDED_BADLY[found]
      if failed and group.on_failure == 'cancel' then return 'canceled' end
      if found ~= 'finished' and not (failed and group.on_failure == 'run') then status = 'deferred' end
    end
    return status
  end

  local function place(id, group, status, hash)
    if status == 'queued' then
      push_job(group.queue, id, group.front)
    elseif status == 'scheduled' then
      call('ZADD', keys.SCHEDULED .. group.queue, group.score, id)
    elseif status == 'deferred' then
      call('ZADD', keys.DEFERRED .. group.queue, now, id)
    elseif status == 'rate_limited' then
      rare.wait_for_slot(group.limit[1], group.limit[2], id, group.queue)
    else
      rare.add_to_canceled(group.queue, id, now)
      local why = 'one of the jobs that it was to wait for did not succeed'
      call('HSET', hash, 'ended_at', now_text, 'errand_error', cjson.encode({type = 'Canceled', message = why}))
      call('EXPIRE', hash, ttl_seconds)
    end
  end

  -- What a job waits for, as RQ keeps it, and beside it what waits for a parent: RQ forgets that when the parent ends.
  local function link(id, group, status)
    for _, parent in ipairs(group.asked or group.after) do
      call('SADD', keys.CHILDREN .. parent, id)
      call('EXPIRE', keys.CHILDREN .. parent, ttl_seconds)
    end
    if status == 'deferred' then
      call('SADD', keys.JOB_LINKS .. id .. keys.DEPENDENCIES, unpack(group.after)) -- keys.LINKS_LIMIT at most
      for _, parent in ipairs(group.after) do
        call('SADD', keys.JOB .. parent .. keys.DEPENDENTS, id)
        if group.on_failure == 'wait' then
          group.kept = group.kept or {}
          local registry = keys.FAILED .. (call('HGET', keys.JOB .. parent, 'origin') or '')
          group.kept[parent] = group.kept[parent] or {seconds = call('TTL', keys.JOB .. parent), registry = registry,
            score = pcall_redis('ZSCORE', registry, parent)}
          rare.keep(parent)
        end
      end
    end
  end

  local function store(group)
    local status, entries = judge(group), {}
    -- The fields of its jobs, in order; those that differ between them, data and retry_intervals, are the last.
    local fields, size = group.fields, #group.fields + 4
    fields[size - 3], fields[size - 2] = 'status', status
    fields[size - 1], fields[size] = 'created_at', ARGV[group.at + 1]
    if status == 'queued' then
      fields[size + 1], fields[size + 2] = 'enqueued_at', now_text
      size = size + 2
    end
    group.status, group.entries = status, entries
    if status ~= 'queued' then group.is_new_queue = pcall_redis('SADD', keys.QUEUES, keys.QUEUE .. group.queue) == 1 end
    local first, step, last = 1, 1, group.count
    if group.limit then -- what was said last holds
      group.concurrency = call('HGET', keys.LIMIT .. group.limit[1], 'concurrency')
      call('HSET', keys.LIMIT .. group.limit[1], 'concurrency', group.limit[2])
      call('SADD', keys.LIMITS, group.limit[1])
    elseif group.front then -- the last one pushed comes out first
      first, step, last = group.count, -1, 1
    end
    for i = first, last, step do
      local hash, data, waits = KEYS[nth + i - 1], ARGV[group.at + 2 + 2 * i], ARGV[group.at + 3 + 2 * i]
      local found = call('HGET', hash, 'status')
      if not found then
        local id = hash:match('[^:]+$')
        fields[size + 1], fields[size + 2] = 'data', data
        if waits ~= '' then fields[size + 3], fields[size + 4] = 'retry_intervals', waits end
        entries[#entries + 1], entries[#entries + 2] = ARGV[group.at + 2], id
        call('HSET', hash, unpack(fields))
        if bodies then bodies.hold(hash, more.bodies.all, more.bodies.of[nth - 4 + i]) end
        place(id, group, status, hash)
        if #group.after > 0 then link(id, group, status) end
      end
      statuses[nth - 4 + i] = found or status
    end
    if status == 'rate_limited' then
      local refused = rare.fill_slots(group.limit[1], group.count)
      if refused == group.queue then error('the list of its queue takes nothing') end
      for i = 1, group.count do statuses[nth - 4 + i] = call('HGET', KEYS[nth + i - 1], 'status') end
    end
    add_to_indexes(group.queue, group.type, group.tags, entries)
    if group.expires_ms and #entries > 0 then
      for i = 1, #entries, 2 do entries[i] = string.format('%.0f', group.expires_ms) end
      call('ZADD', keys.EXPIRES, unpack(entries))
      call('ZADD', keys.INDEXES, 0, keys.EXPIRES) -- the sweep takes out, as of an index, those that are gone
    end
    nth = nth + group.count
  end

  local new, last = {}, nth
  while at <= #ARGV do
    local group = cjson.decode(ARGV[at])
    group.at, group.count = at, tonumber(ARGV[at + 3])
    groups[#groups + 1] = group
    for _, parent in ipairs(group.after) do
      if not new[parent] and call('EXISTS', keys.JOB .. parent) == 0 then return {-1, parent} end
      local is_full = call('SCARD', keys.CHILDREN .. parent) + group.count > keys.DEPENDENTS_LIMIT
      if is_full and call('EXISTS', KEYS[last]) == 0 then return {-3, parent} end
    end
    at = at + 4 + 2 * group.count
    if at <= #ARGV then -- another group follows, which may wait for these
      for i = last, last + group.count - 1 do new[KEYS[i]:match('[^:]+$')] = true end
    end
    last = last + group.count
  end

  if bodies and call('EXISTS', KEYS[4]) == 0 then
    local lost = bodies.find_lost(more.bodies.all)
    if lost then return {-4, lost} end
  end
  for _, group in ipairs(groups) do store(group) end
  if more.batch and call('EXISTS', KEYS[2]) == 0 then
    for i = nth - #statuses, nth - 1 do
      more.batch[#more.batch + 1], more.batch[#more.batch + 2] = KEYS[i]:match('[^:]+$'), ''
    end
    groups.has_batch = true
    call('HSET', KEYS[2], unpack(more.batch))
    call('EXPIRE', KEYS[2], ttl_seconds)
    call('ZADD', keys.BATCHES, ARGV[7], KEYS[2]:match('[^:]+$'))
    call('ZREMRANGEBYRANK', keys.BATCHES, 0, -keys.BATCHES_LIMIT - 1)
    if call('EXPIRE', keys.BATCHES, ttl_seconds, 'NX') == 0 then call('EXPIRE', keys.BATCHES, ttl_seconds, 'GT') end
  end
  if more.claim then
    local all = table.concat(statuses, ' ')
    more.claim.record.status = all == (statuses[1] .. ' '):rep(#statuses):sub(1, -2) and statuses[1] or all
    call('SET', KEYS[3], cjson.encode(more.claim.record), 'EX', more.claim.kept_seconds)
    groups.has_claim = true
  end
  if bodies then
    for _, body in ipairs(more.bodies.all) do bodies.let_go(body[1], more.bodies.holder) end
  end
  wake_workers()
  publish_touched()
  return table.concat(statuses, ' ')
end

-- Store jobs. A job whose id is there already is left as it is, so the same call sent twice changes nothing.
-- KEYS  rq:queues, the batch's record, the record under the claim's key (either rq:queues where there is none: a key
--       has to be one that the server's user may use), then each job's hash
-- ARGV  now, enqueued_at, ttl_seconds, JSON {batch: [field, value, …], claim: {record, kept_seconds}, bodies: {holder,
--       all: [[SHA-256, bytes], …], of: for each job its places in that list}} or less, then for each group of jobs,
--       alike but for their data: JSON {queue, type, fields: [field, value, …], score: when they are due or none,
--       after: [id, …], asked: what was asked for where that is no job, fate: the status of those whose parents say it
--       already, on_failure, front, tags: [tag, …], limit: [key, concurrency] or none, expires_ms or none}, created_at,
--       the same in microseconds, how many they are, and for each its data and its retry_intervals or ''
-- Return the jobs' statuses with spaces between; or, with nothing stored, -1 and the id of a parent that does not
-- exist, -2 and the record that is there already under the claim's key, -3 and the id of a parent that has as many
-- dependents as it may have, or -4 and the name of a body that is not there. Where it stores nothing, the holder still
-- holds them. Where a write fails, at a key of a wrong type, those before it are undone, and the answer is the error
-- with that key.
-- `bodies` are the functions of lib/store/bodies.lua that are asked of them, nothing in a script without
-- any: Lua makes each function of a script anew in every call, which costs a plain job more than one of its commands.
function enqueue(KEYS, ARGV, bodies)
  local ok, answer = pcall(store_all, KEYS, ARGV, bodies)
  if ok then return answer end
  -- paste store/undo
  return undo_enqueue(groups, answer, KEYS, ARGV)
end
