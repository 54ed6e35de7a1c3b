-- A piece of an owner's history. {owner, after, limit}: the first `limit` events with a number above `after`.
-- Returns {{number, job_id, version, kind, body}, ...}, oldest first; without kind and body where the job's history has
-- the event no more.
local owner, after, limit = unpack(cmsgpack.unpack(ARGV[1]))
local events, rows = {}, {}
for i, entry in ipairs(call('XRANGE', K.owner_events(owner), '(' .. after .. '-0', '+', 'COUNT', limit)) do
  local fields = entry[2]
  local job_id, version = fields[1], fields[2]
  if job_id == 'j' then job_id, version = fields[2], fields[4] end
  events[i] = {string.match(entry[1], '^%d+'), job_id, version, event_at(job_id, version, rows)}
end
return events
