-- The time of the step, and how long jobs are kept that don't say so themselves. The script sets them before anything
-- else, mostly to what its caller gives.
-- gives now, now_text, failure_seconds
-- now in seconds, now_text in RQ's format

now, now_text, failure_seconds = nil, nil, nil
