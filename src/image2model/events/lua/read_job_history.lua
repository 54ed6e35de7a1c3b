-- A piece of a job's history. {job_id, after, limit}: at least the first `limit` events with a version above `after`.
-- Returns {{version, kind, body}, ...}, oldest first.
local job_id, after, limit = unpack(cmsgpack.unpack(ARGV[1]))
local rows = {}
local events = events_after(job_id, after, limit, rows)
local settled = #events == 0 and settled_version(job_id) or 0
if settled > after then events[1] = event_at(job_id, settled, rows) end
return events
