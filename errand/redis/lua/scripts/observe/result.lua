#!lua flags=no-writes
-- Reads a job's last result.
-- KEYS  its stream of results
-- Returns the entry's id and its fields, as lib/store/status.lua reads them; nothing where there is none.
-- include base, store/status

local fields, id = read_result(KEYS[1])
return fields and {id, fields}
