"""Each name in Redis, status word, limit and deadline, once: for Python, and as `keys.NAME` in the Lua scripts.

A name that ends with a colon is followed by an id or a name; one that begins with a colon comes after such a name. What
begins with RQ's prefix is RQ 3.0.0's, in its formats; what begins with `errand` is ours.
"""

import os

RQ = os.environ.get("RQ_KEY_PREFIX", "rq")  # as rq.defaults reads it: importing that loads all of RQ

# RQ's jobs and their executions
JOB = f"{RQ}:job:"  # hash
JOB_LINKS = f"{RQ}:job::"  # with two colons, before an id and DEPENDENCIES
DEPENDENTS = ":dependents"  # set of ids: the jobs that wait for it; RQ forgets it when the job has ended
DEPENDENCIES = ":dependencies"  # set of ids: what it waits for
RESULTS = f"{RQ}:results:"  # stream
EXECUTIONS = f"{RQ}:executions:"  # sorted set, by job: execution ids
EXECUTION = f"{RQ}:execution:"  # hash, by member (job:execution)

# RQ's queues and registries, each before a queue's name
QUEUES = f"{RQ}:queues"  # set of keys
QUEUE = f"{RQ}:queue:"  # list of ids
WIP = f"{RQ}:wip:"  # sorted sets, of members here and of ids below
FINISHED = f"{RQ}:finished:"
FAILED = f"{RQ}:failed:"
CANCELED = f"{RQ}:canceled:"
SCHEDULED = f"{RQ}:scheduled:"
DEFERRED = f"{RQ}:deferred:"
READY = f"{RQ}:ready:"

# RQ's workers and groups
WORKERS = f"{RQ}:workers"  # set of keys
WORKER = f"{RQ}:worker:"  # hash
HELD = ":executions"  # set, after a worker's key: the members that it holds
COMMANDS = f"{RQ}:pubsub:"  # channel, by worker
SUSPENDED = f"{RQ}:suspended"
GROUP = f"{RQ}:group:"

# RQ's concurrency limits (rq.rate_limit), each by its key
LIMITS = f"{RQ}:rl-keys"  # set of keys
LIMIT = f"{RQ}:rl:"  # hash
ALLOWED = ":allowed"  # sorted set of ids: the jobs that have a slot
WAITING = ":rate_limited"  # sorted set of ids: the jobs that wait for one

# Ours: jobs
LEASES = "errand:leases"  # sorted set of members, by when their lease ends, in milliseconds
INDEXES = "errand:indexes"  # sorted set of the keys that begin with INDEX or TAG
INDEX = "errand:index:"  # sorted set, by queue:type: ids by creation, in microseconds
TAG = "errand:tag:"  # sorted set, by tag: as INDEX
CHILDREN = "errand:dependents:"  # set, by job or batch: the jobs that wait or waited for it, kept beyond its end
SETTLING = "errand:settling"  # sorted set of outcome:job, by when the job ended: ends with dependents still to settle
SETTLING_JOBS = "errand:settling:"  # set, by outcome:job: these dependents
EXPIRES = "errand:expires"  # sorted set of ids, by when they expire, in milliseconds; the sweep knows it as an index
BATCH = "errand:batch:"  # hash: the batch's fields, and by id how each of its jobs has ended
BATCHES = "errand:batches"  # sorted set of batches' ids, by creation, in microseconds: the newest BATCHES_LIMIT
IDEMPOTENCY = "errand:idempotency:"  # string, by the hash of caller and key
UNIQUE = "errand:unique:"  # string, by type:key: the job that was stored last under a unique key
DELETED = "errand:deleted:"  # string, by the token of a call
MAIL = "errand:mail:"  # hash, by job: what is known of its e-mail
PROBE = "errand:probe"  # a key that is never there and a channel that nobody hears, to try whether writes are taken
GONE = "errand:gone:"  # string, by the SHA-256 of a webhook's URL: since when it answers 410 (Gone)
BODY = "errand:body:"  # string, by its SHA-256: a JSON value of payloads, which lies outside their jobs
BODIES = "errand:bodies"  # hash: by SHA-256 how many bytes each body has, and all of them together as `total`
BODY_HOLDS = "errand:body-holds"  # sorted set of sha256:holder, all of score 0, so in their own order
SWEEP = "errand:sweep"  # hash: how far the sweep of the indexes has come
LOST = "errand:lost"  # sorted set of ids of jobs that were found in no list, by when, in seconds
LOST_LOOK = "errand:lost-look"  # hash: how far the look for them has come

# Ours: what happened. RQ's own delete knows none of it, so each has a lifetime of its own
ATTEMPTS = "errand:attempts:"  # hash, by job: by an attempt's number how it ended, as JSON
TRACE = "errand:trace:"  # string, by the SHA-1 of that: a traceback, packed as RQ packs it
LOGS = "errand:logs:"  # list, by job: its log lines, as JSON
NOTES = "errand:notes"  # sorted set of the keys that begin with TRACE or LOGS, by when they were written, in ms
NOTES_BYTES = "errand:notes-bytes"  # hash: how many bytes each of these has, and all of them together as `total`
RETRYING = "errand:retrying"  # set of the keys that begin with RETRYING_JOBS
RETRYING_JOBS = "errand:retrying:"  # sorted set, by queue: ids of jobs to be tried again, by their failure, in ms

# Ours: counts of ends (lib/observe/tally.lua)
TALLY = "errand:tally:"  # hash, by minute since 1970: by type|wait|run|end how many, by type|w, type|r microseconds
TALLY_ROLLED_UP = "errand:tally-folded"  # string: up to which minute the counts are in the two below
TOTALS = "errand:totals"  # hash, by type: JSON of all that was ever counted
STATS = "errand:stats:"  # string, by seconds:start: JSON of what was counted in so many seconds from `start` on

# Ours: queues
PAUSED = "errand:paused"  # set of queues' names
RATES = "errand:rates"  # hash: by type, when its next job may start, in microseconds
STARTS = "errand:starts:"  # list, by type: its last starts, newest first
RATED = "errand:rated"  # set of the keys that begin with RATED_JOBS
RATED_JOBS = "errand:rated:"  # sorted set, by queue:type: ids that wait for their type's rate
PARKED = "errand:parked"  # set of the keys that begin with PARKED_JOBS
PARKED_JOBS = "errand:parked:"  # sorted set, by queue:type:codes: ids that wait for a worker that can run them
PARKED_LOGGED = "errand:parked-told"  # string: lasts until the log mentions them again
HELD_TYPES = "errand:held"  # set of type:service, of those that are held because what they work with is down
HELD_TYPE = "errand:held:"  # hash, by type:service: since, reason, wait_seconds, probe_at_ms, probing (a member)
TAKEOVER = "errand:takeover:"  # string, by queue: lasts while RQ's scheduler lock is being taken over

# Ours: workers
TYPES = "errand:types:"  # hash, by worker: the types that it has, each with the hash of its code
THREADS = "*threads"  # its field beside the types: how many jobs the worker runs at once
POSTED = "errand:posted"  # sorted set of type=code, those of the APIs, by when they end if no API announces them again

# Ours: schedules
SCHEDULES = "errand:schedules"  # sorted set of names, by their next occurrence
SCHEDULE = "errand:schedule:"  # hash
RUNS = ":runs"  # list, after a schedule's key
LOOKED = "errand:schedules-looked:"  # string, by type: since when workers serve its schedules without a break

# Ours: channels
WORK = "errand:work"  # names of queues that have work
EVENTS = "errand:events"  # ids of jobs that have changed, with spaces between

# RQ's status words, by what they mean to us
ENDED = ("finished", "failed", "stopped", "canceled")
ENDED_BADLY = ("failed", "stopped", "canceled")  # what may be requeued
BATCH_ENDED = (*ENDED, "deleted")
UNSTARTED = ("created", "queued", "scheduled", "deferred", "ready_to_enqueue", "rate_limited")  # what may be canceled
WITH_TRACEBACK = ("failed", "stopped")  # RQ's result of such a job may have one
RETRYING_STATUSES = ("scheduled", "queued", "rate_limited")  # what a job may have that waits for its next try
NOT_QUEUED = (*ENDED, "started", "created", "deferred", "scheduled", "ready_to_enqueue", "rate_limited")

# Words with a meaning
FILE_PREFIX = "jobs."  # so begin the names of schedules that job files carry
TOO_LARGE = "too large"  # stands for a traceback of more than TRACE_BYTES
BATCH_FIELDS = ("type", "created_at", "webhook", "webhook_waits_for")  # of a batch's record; the others are jobs' ids

# Limits. The server does nothing else while it runs a script.
BATCH_LIMIT = 1000  # jobs of a batch: one script stores them
BATCHES_LIMIT = 10_000  # batches that are listed, about a megabyte; those beyond are read by their ids
DEPENDENTS_LIMIT = 5000  # of one job
SEARCHED_AT_ONCE = 200_000  # places of queues' lists in one step, which take 10 ms
FILLED_AT_ONCE = 200  # free slots of concurrency keys in one step
SETTLED_AT_ONCE = 200  # dependents in one step, fewer where they are canceled; the rest is noted
LINKS_LIMIT = 5000  # of the jobs of one request to what they wait for; Lua can't unpack 8,000
CODE_LENGTH = 12  # hex digits of the hash of a type's code, and of what it works with: few are compared with each other
BODY_BYTES = (
    64 * 1024
)  # what of a payload is larger lies outside the job, so that whatever reads its record stays quick
DATA_BYTES = 16 * 1024 * 1024  # of what a job's record has as its payload, packed or not: ours have some 64 KiB there
RESULT_BYTES = 1024 * 1024  # of a result as it is stored, base64: ours have 64 KiB of JSON
TRACE_BYTES = 1024 * 1024  # of a traceback, packed or not: ours have 64 KiB
BODY_SHARE = 0.25  # of maxmemory, for all bodies together: the rest is for jobs
BODY_REQUEST_SECONDS = 300  # so long a request may hold bodies before its job is stored: far longer than one takes
ATTEMPTS_LIMIT = 50  # of a job whose ends are kept: the first, and the last ones
EDITS_LIMIT = 10  # of a job whose payload was edited: as many are kept of those before, the first, and the last ones
NOTES_SHARE = 0.1  # of maxmemory, for log lines and tracebacks together: they help, the jobs matter
NOTES_LIMIT_BYTES = 100 * 1024 * 1024  # for them where the server has no maxmemory
LOG_LINES = 1000  # of a job, the last ones
LOG_BYTES = 64 * 1024  # of a job's log lines, less about what each has besides its text
LOG_FRAME_BYTES = 80  # that
LOG_LINE_CHARACTERS = 8 * 1024  # of one of them
LOG_LINE_BYTES = 128 * 1024  # of one as it is stored: a character may take 12 bytes of JSON, \ud83d\ude00
LOG_SECONDS = 24 * 3600  # so long they are kept after the last of them; those of a failed job NOTES_SECONDS
LOG_ENTRY_BYTES = 300  # about what a job's list of them takes besides, with its place in the counts
NOTES_SECONDS = 30 * 24 * 3600  # so long they are kept, as failed jobs are
# Seconds: the upper bounds of the buckets in which waits and runs are counted.
TALLY_BOUNDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600, 10800)
STATS_MINUTES_SECONDS = 3 * 3600  # so long the counts of each minute are kept,
STATS_FIVES_SECONDS = 72 * 3600  # of five minutes,
STATS_HOURS_SECONDS = 90 * 24 * 3600  # and of an hour
COUNTED_TYPES_LIMIT = 200  # counted under their names; more are counted as `other`: names made by mistake cost memory
GONE_SECONDS = (
    7 * 24 * 3600
)  # so long nothing is sent to a webhook's URL that has answered 410 (Gone), then one is tried
SILENT_SECONDS = 20  # a worker of ours that was not heard for so long is taken for dead: it is heard twice a second
LOST_LIMIT = 3  # so often may the process that runs a job die under it, which may be its own doing

# Deadlines. An API whose Redis is away answers 503 within 2 seconds; the inner limits are shorter than the outer ones.
API_SECONDS = 1.8
GROUP_SECONDS = 1.7  # for a group of calls, retries included
API_ANSWER_SECONDS = 1.5
API_CONNECT_SECONDS = 1.0
WORKER_ANSWER_SECONDS = 4.0  # no client waits for it, and a busy server may take a while
WORKER_CONNECT_SECONDS = 2.0
