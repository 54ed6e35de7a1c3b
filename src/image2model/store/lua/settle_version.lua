-- A process says which data version it reads, and the version that is written goes up once nobody is left that
-- does not read the next. {id for a new store, process or '', reads, life_ms, force}
-- Returns {version, id, workers, apis, processes}: how many of 8adfc9c, and of a release in between, hold it back;
-- once the newest is written, the workers of 8adfc9c that run all the same.
-- `force`: neither what 8adfc9c has left is waited for, nor the time.
local id, process, reads, life, force = unpack(cmsgpack.unpack(ARGV[1]))
local at, head, store = now_ms(), store_head(id), K.store()
local version = head[1]
if process ~= '' then
  call('ZADD', K.readers(), at, reads .. ' ' .. process)
  call('PEXPIRE', K.readers(), FLEET_TTL)
end
call('ZREMRANGEBYSCORE', K.readers(), '-inf', at - life)
if version >= LATEST then return {version, head[2], old_workers(), 0, 0} end -- they hold nothing back, and break

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

-- Nobody who holds it back was seen for the life of a heartbeat, without a break: a store that was away for a
-- while has lost every heartbeat and every listener, and its processes come back.
local since = call('HMGET', store, 'quiet_since', 'looked_at')
local quiet = next_version > version and apis + workers == 0
local unbroken = since[1] and at - tonumber(since[2]) <= life / 3
if not quiet then
  call('HDEL', store, 'quiet_since')
else
  if not unbroken then
    since[1] = at
    call('HSET', store, 'quiet_since', at)
  end
  if at - tonumber(since[1]) >= life then force = true end
end
call('HSET', store, 'looked_at', at)
if not force or next_version <= version then return {version, head[2], workers, apis, behind} end

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
return {next_version, head[2], 0, 0, behind}
