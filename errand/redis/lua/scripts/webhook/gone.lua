#!lua flags=no-writes
-- Reads whether a webhook's URL has answered that it wants no more.
-- KEYS  the note of its URL, the webhook's hash
-- Returns since when, as RQ keeps times, and 1 where the webhook was requeued after that: so somebody asks for another
-- try, 0 where it was not; nothing where there is no such note.
-- include base

local since = pcall_redis('GET', KEYS[1])
if type(since) ~= 'string' then return false end
local requeued, enqueued_at = unpack(call('HMGET', KEYS[2], 'errand_requeue', 'enqueued_at'))
return {since, requeued and enqueued_at and enqueued_at > since and 1 or 0}
