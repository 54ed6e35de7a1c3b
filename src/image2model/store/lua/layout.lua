-- The store's own id, and the data version that is written (layouts.py): shared by all scripts, after base.lua.
-- Both are read once in a script, by the first line that needs them.

-- Listeners that only 8adfc9c has. Newer processes hear these channels by pattern, which is not counted. Those of
-- another service on the server are counted too. A server that does not let us count may have some.
local function old_listeners()
  local found = redis.pcall('PUBSUB', 'NUMSUB', OLD_NOTIFICATION, OLD_CONTROL)
  if found.err then return 1, 1 end
  return found[2], found[4]
end

-- Heartbeats of 8adfc9c: they do not say what their worker reads.
local function old_workers()
  local count = 0
  for _, id in ipairs(call('ZRANGE', K.workers(), 0, -1)) do
    local beat = call('HMGET', K.worker(id), 'beat_at', 'reads')
    if beat[1] and not beat[2] then count = count + 1 end
  end
  return count
end

-- A store without an id is new, or of 8adfc9c: then a worker has beaten in it, or somebody listens. An id made here
-- is unique on its server, which is where channels meet: two scripts never begin in the same microsecond.
local function make_store(id)
  local apis, workers = old_listeners()
  local version = LATEST
  if call('EXISTS', K.workers()) == 1 or apis + workers > 0 then version = 1 end
  if id == '' then id = string.sub(redis.sha1hex(table.concat(call('TIME'), '.')), 1, 16) end
  call('HSET', K.store(), 'id', id, 'version', version)
  return {version, id}
end

local head_read

-- {version, id}. `id` is for a store that has none yet.
local function store_head(id)
  if not head_read then
    local found = call('HMGET', K.store(), 'version', 'id')
    head_read = found[1] and {tonumber(found[1]), found[2]} or make_store(id or '')
  end
  return head_read
end

-- The version of what is written: 1 is that of 8adfc9c, whose processes read nothing newer.
local function data_version() return store_head()[1] end

-- The full name of a pub/sub channel.
local function channel(name)
  local head = store_head()
  if head[1] == 1 then return CHANNEL .. name end
  return CHANNEL .. head[2] .. ':' .. name
end

-- A task whose function is newer than the version: it is queued when that goes up (settle_version.lua).
local function postpone(queue, task_id, fn, score)
  call('HSET', K.postponed(), task_id, cmsgpack.pack({queue, fn, score}))
  call('PEXPIRE', K.postponed(), FLEET_TTL)
end

local function is_postponed(task_id, fn)
  return FUNCTION_SINCE[fn] and call('HEXISTS', K.postponed(), task_id) == 1
end
