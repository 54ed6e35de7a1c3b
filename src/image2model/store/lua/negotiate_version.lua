-- A process registers which data version it reads. The version that is written goes up once no process is left that
-- cannot read the next one. {id for a new store, process or '', reads, reader_ttl_ms, force}
-- Returns {version, id, workers, apis, processes}: how many workers and APIs of 8adfc9c, and processes of a release in
-- between, hold it back; once the newest version is written, the workers of 8adfc9c that run nevertheless.
-- `force`: waits neither for what 8adfc9c has left nor for the time.
local id, process, reads, reader_ttl, force = unpack(cmsgpack.unpack(ARGV[1]))
local at, identity, store = now_ms(), store_identity(id), K.store()
local version = identity[1]
if process ~= '' then
  call('ZADD', K.readers(), at, reads .. ' ' .. process)
  call('PEXPIRE', K.readers(), FLEET_TTL)
end
call('ZREMRANGEBYSCORE', K.readers(), '-inf', at - reader_ttl)
-- 8adfc9c's workers hold nothing back any more; they fail on what they read. Who asks for a process does not want to
-- know: a hundred workers that each count the others' heartbeats are a load.
if version >= LATEST then return {version, identity[2], process == '' and old_workers() or 0, 0, 0} end

local next_version, behind = LATEST, 0
for _, reader in ipairs(call('ZRANGE', K.readers(), 0, -1)) do
  local most = tonumber(string.match(reader, '^%d+'))
  next_version = math.min(next_version, most)
  if most < LATEST then behind = behind + 1 end
end
local apis, workers = 0, 0
if version == 1 then
  apis, workers = old_listeners()
  workers = math.max(workers, old_workers())
end

-- The version goes up after no process that holds it back was seen for one TTL without a break. A store that was away
-- has lost every heartbeat and every listener, and its processes come back.
local since = call('HMGET', store, 'quiet_since', 'looked_at')
local quiet = next_version > version and apis + workers == 0
local unbroken = since[1] and at - tonumber(since[2]) <= reader_ttl / 3
if not quiet then
  call('HDEL', store, 'quiet_since')
else
  if not unbroken then
    since[1] = at
    call('HSET', store, 'quiet_since', at)
  end
  if at - tonumber(since[1]) >= reader_ttl then force = true end
end
call('HSET', store, 'looked_at', at)
if not force or next_version <= version then return {version, identity[2], workers, apis, behind} end

call('HSET', store, 'version', next_version)
call('HDEL', store, 'quiet_since', 'looked_at')
local postponed = call('HGETALL', K.postponed())
for i = 1, #postponed, 2 do
  local task_id, queue, fn, score = postponed[i], unpack(cmsgpack.unpack(postponed[i + 1]))
  if FUNCTION_SINCE[fn] <= next_version then
    call('HDEL', K.postponed(), task_id)
    if call('EXISTS', ARQ_JOB .. task_id) == 1 then
      call('ZADD', ARQ_QUEUE .. queue, score, task_id)
    end
  end
end
return {next_version, identity[2], 0, 0, behind}
