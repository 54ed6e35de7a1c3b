-- A piece of an owner's history. {owner, after, limit}: at least the first `limit` events with a number above `after`.
-- Returns {{number, job_id, version, kind, body}, ...}, oldest first; without kind and body where the job's history has
-- the event no more.
local owner, after, limit = unpack(cmsgpack.unpack(ARGV[1]))
local events, rows = {}, {}

-- What an entry stands for: the job, the version of its last event, and how many they are.
local function place_of(fields)
  if fields[1] == 'j' then return fields[2], tonumber(fields[4]), 1 end
  local last, count = string.match(fields[2], '^(%d+):?(%d*)$')
  return fields[1], tonumber(last), tonumber(count) or 1
end

local function add_events(number, job_id, last, count)
  local known = {}
  for _, event in ipairs(events_after(job_id, last - count, count, rows)) do known[event[1]] = event end
  for version = last - count + 1, last do
    local place = number - last + version
    local _, kind, body = unpack(known[version] or event_at(job_id, version, rows) or {})
    if place > after then events[#events + 1] = {place, job_id, version, kind, body} end
  end
end

local base = tonumber(owner_base(owner))
local from = after > base and string.format('(%.0f-%.0f', base, after - base) or string.format('(%.0f-0', after)
for _, entry in ipairs(call('XRANGE', K.owner_events(owner), from, '+', 'COUNT', limit)) do
  add_events(number_of(entry[1]), place_of(entry[2]))
  if #events >= limit then break end
end
return events
