-- The store's own id, and the data version that is written to it (data_versions.py). Both are read once in a script,
-- by the first function that needs them. Needs base.lua.

-- Counts the listeners that only 8adfc9c has: newer processes subscribe to its channels by pattern, which NUMSUB does
-- not count. Listeners of another service on the same server are counted too. Where the server refuses to count,
-- there may be some.
local function old_listeners()
  local found = redis.pcall('PUBSUB', 'NUMSUB', OLD_NOTIFICATION, OLD_CONTROL)
  if found.err then return 1, 1 end
  return found[2], found[4]
end

-- Counts the heartbeats of 8adfc9c: they do not say which version their worker reads.
local function old_workers()
  local count = 0
  for _, id in ipairs(call('ZRANGE', K.workers(), 0, -1)) do
    local heartbeat = call('HMGET', K.worker(id), 'beat_at', 'reads')
    if heartbeat[1] and not heartbeat[2] then count = count + 1 end
  end
  return count
end

-- A store without an id is new, or was written by 8adfc9c: then it has a worker's heartbeat, or a listener. An id made
-- here is unique on its server, which all its databases share their channels on: two scripts never start in the same
-- microsecond.
local function make_store(id)
  local apis, workers = 0, 0
  if IS_PLAIN then apis, workers = old_listeners() end
  local version = LATEST
  if IS_PLAIN and (call('EXISTS', K.workers()) == 1 or apis + workers > 0) then version = 1 end
  if id == '' then id = string.sub(redis.sha1hex(table.concat(redis.call('TIME'), '.')), 1, 16) end
  call('HSET', K.store(), 'id', id, 'version', version)
  return {version, id}
end

local known_identity

-- {version, id}. `id` is for a store that has none yet.
local function store_identity(id)
  if not known_identity then
    local found = call('HMGET', K.store(), 'version', 'id', 'tagged')
    -- it was emptied, and a process that came meanwhile began it anew; the caller learns that in a second (naming.py)
    if IS_PLAIN and found[3] then error(redis.error_reply('TRYAGAIN the keys of this store have tags')) end
    known_identity = found[1] and {tonumber(found[1]), found[2]} or make_store(id or '')
  end
  return known_identity
end

-- A job that was made in the newest version says so, and names the store, in its field `store`: the scripts of its images
-- then need not read it elsewhere. No version follows it that this script could be in.
local function identity_field()
  local identity = store_identity()
  return identity[1] == LATEST and LATEST .. ':' .. identity[2] or ''
end

local function adopt_identity(field)
  local version, id = string.match(text(field), '^(%d+):(.+)$')
  if not known_identity and tonumber(version) == LATEST then known_identity = {LATEST, id} end
end

-- The version that is written: 1 is that of 8adfc9c, whose processes read nothing newer.
local function data_version() return store_identity()[1] end

-- The full name of a pub/sub channel.
local function channel(name)
  local identity = store_identity()
  if identity[1] == 1 then return CHANNEL .. name end
  return CHANNEL .. identity[2] .. ':' .. name
end

-- A task whose function is newer than the version: it is queued when the version goes up (negotiate_version.lua).
local function postpone(queue, task_id, fn, score)
  call('HSET', K.postponed(), task_id, cmsgpack.pack({queue, fn, score}))
  call('PEXPIRE', K.postponed(), FLEET_TTL)
end

local function is_postponed(task_id, fn)
  return FUNCTION_SINCE[fn] and call('HEXISTS', K.postponed(), task_id) == 1
end
