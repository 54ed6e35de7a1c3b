-- What is to be deleted at FAL now. {limit, postpone_ms} First moves on what was kept for long enough; a request that is
-- still followed is never deleted, but kept for `postpone_ms` more.
-- Returns {now, when the next try is due or 0 for none, {{request_id, tries, denied_at}, ...}}. After a refusal of the
-- admin key nothing is due for a while, and then one request alone tries it.
local limit, postpone = unpack(cmsgpack.unpack(ARGV[1]))
local at, found = now_ms(), {}

local function entry_of(request_id)
  local entry = call('HGET', K.fal_deletion_entries(), request_id)
  return entry and cjson.decode(entry) or {'', 0, 0}
end

local function is_followed(request_id)
  local row = call('HMGET', K.image(entry_of(request_id)[1]), 'status', 'request_id')
  return row[2] == request_id and UNFINISHED[row[1]]
end

for _, request_id in ipairs(call('ZRANGEBYSCORE', K.kept_at_fal(), '-inf', at, 'LIMIT', 0, limit)) do
  if is_followed(request_id) then
    call('ZADD', K.kept_at_fal(), at + postpone, request_id)
  else
    call('ZREM', K.kept_at_fal(), request_id)
    call('ZADD', K.fal_deletions(), at, request_id)
  end
end

local state = call('HMGET', K.fal_deletion_state(), 'refused', 'blocked_until')
local blocked = num(state[2])
if blocked <= at then
  if text(state[1]) ~= '' then limit = 1 end
  for _, request_id in ipairs(call('ZRANGEBYSCORE', K.fal_deletions(), '-inf', at, 'LIMIT', 0, limit)) do
    if is_followed(request_id) then
      call('ZREM', K.fal_deletions(), request_id)
      call('ZADD', K.kept_at_fal(), at + postpone, request_id)
    else
      local entry = entry_of(request_id)
      found[#found + 1] = {request_id, entry[2], entry[3]}
    end
  end
end
local first = call('ZRANGE', K.fal_deletions(), 0, 0, 'WITHSCORES')
local due = first[2] and math.max(tonumber(first[2]), blocked) or 0
return cmsgpack.pack({at, due, found})
