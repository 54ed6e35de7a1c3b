-- Hashes that a script reads and writes in many places: read once, and written once when it ends. Needs base.lua.
--
-- One move of an image touches its hash, its job's, the window and an account in a dozen functions, and each command of
-- a script costs more than the work that it does. So a script names the hashes that it will use and what it reads of
-- them; from then on `call` answers for these from memory, and the functions stay as they are. The linker ends each
-- script that buffers anything with `write_buffered` (scripts.py). TTLs are set then too, once for each key. A script
-- that fails midway has written nothing to these hashes.

local buffered = {}
local expiring = {}

-- A number as the server writes it into a field.
local function field_text(value)
  if type(value) == 'string' then return value end
  if type(value) ~= 'number' then error('a field must be a text or a number') end
  return string.format(value == math.floor(value) and '%.0f' or '%.17g', value)
end

-- Writes what has changed in one hash.
local function write_hash(key, hash)
  local set, gone = {}, {}
  for name in pairs(hash.changed) do
    local value = hash.values[name]
    if value then
      set[#set + 1] = name
      set[#set + 1] = value
    else
      gone[#gone + 1] = name
    end
  end
  hash.changed = {}
  if #set > 0 then redis.call('HSET', key, unpack(set)) end
  if #gone > 0 then redis.call('HDEL', key, unpack(gone)) end
end

-- Reads those of these fields that are not known yet, in one call.
local function read_fields(key, hash, names)
  local unknown = {}
  for _, name in ipairs(names) do
    if hash.values[name] == nil then unknown[#unknown + 1] = name end
  end
  if #unknown == 0 then return end
  local found = not hash.new and redis.call('HMGET', key, unpack(unknown)) or {}
  for i, name in ipairs(unknown) do hash.values[name] = found[i] or false end
end

-- A field that is empty is the same as none, and is not written.
local function set_field(hash, name, value)
  local before = hash.values[name]
  if before == nil and hash.new then before = false end
  if before == value or (before == false and value == '') then return end
  if before and before ~= '' and hash.before_change then hash.before_change(hash, name) end
  hash.values[name] = value
  hash.changed[name] = true
end

local BUFFERED_CALLS = {
  HGET = function(key, hash, name)
    read_fields(key, hash, {name})
    return hash.values[name]
  end,
  HMGET = function(key, hash, ...)
    read_fields(key, hash, {...})
    local values = {}
    for i, name in ipairs({...}) do values[i] = hash.values[name] end
    return values
  end,
  HEXISTS = function(key, hash, name)
    read_fields(key, hash, {name})
    return hash.values[name] and 1 or 0
  end,
  HSET = function(_, hash, ...)
    local given = {...}
    for i = 1, #given, 2 do set_field(hash, given[i], field_text(given[i + 1])) end
  end,
  HSETNX = function(key, hash, name, value)
    read_fields(key, hash, {name})
    if hash.values[name] then return 0 end
    set_field(hash, name, field_text(value))
    return 1
  end,
  HINCRBY = function(key, hash, name, by)
    read_fields(key, hash, {name})
    local sum = tonumber(hash.values[name] or 0) + by
    set_field(hash, name, field_text(sum))
    return sum
  end,
  HDEL = function(key, hash, ...)
    read_fields(key, hash, {...})
    local gone = 0
    for _, name in ipairs({...}) do
      if hash.values[name] then gone = gone + 1 end
      set_field(hash, name, false)
    end
    return gone
  end,
}

local function buffered_call(command, key, ...)
  if command == 'PEXPIRE' then
    expiring[key] = ...
    return 1
  end
  local hash = buffered[key]
  if not hash then return redis.call(command, key, ...) end
  local answer = BUFFERED_CALLS[command]
  if answer then return answer(key, hash, ...) end
  -- a command on the whole key
  buffered[key] = nil
  if command ~= 'DEL' then write_hash(key, hash) end
  return redis.call(command, key, ...)
end

-- From now on this hash is read and written in memory. `names` are read now, others when they are asked for; without
-- them the hash is new, and has no field.
local function buffer_hash(key, names)
  call = buffered_call
  local hash = buffered[key]
  if not hash then
    hash = {key = key, values = {}, changed = {}, new = not names}
    buffered[key] = hash
  end
  if names then read_fields(key, hash, names) end
end

local function write_buffered()
  for key, hash in pairs(buffered) do write_hash(key, hash) end
  for key, ttl in pairs(expiring) do redis.call('PEXPIRE', key, ttl) end
end
