-- A piece of a job's history. {job_id, after, limit}: the first `limit` events with a version above `after`.
-- Returns {{version, kind, body}, ...}, oldest first.
local job_id, after, limit = unpack(cmsgpack.unpack(ARGV[1]))
local events, rows = {}, {}
for i, entry in ipairs(call('XRANGE', K.job_events(job_id), '(' .. after .. '-0', '+', 'COUNT', limit)) do
  local version = string.match(entry[1], '^%d+')
  events[i] = {version, event_body(job_id, version, entry[2], rows)}
end
local settled = #events == 0 and settled_version(job_id) or 0
if settled > after then events[1] = {tostring(settled), event_at(job_id, settled, rows)} end
return events
