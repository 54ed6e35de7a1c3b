-- A stretch of the dead letters, newest first, and only those of the filter.
-- {at or false, id, limit, most, code, model, owner}: what comes after (at, id); `most` are looked at.
-- Returns {more, at, id, {{failed_at, job_id, owner, model, attempt errors, image row}, ...}}; (at, id) is the last looked at.
local from, after, limit, most, code, model, owner = unpack(cmsgpack.unpack(ARGV[1]))
local rows, gone, seen, last_at, last_id = {}, {}, 0, from or 0, after

local function look_at(id, at)
  local head = call('HMGET', K.image(id), 'status', 'job_id', 'error')
  if head[1] ~= 'failed' then
    gone[#gone + 1] = id
    return
  end
  local job = call('HMGET', K.job(head[2]), 'owner', 'model', 'deleted')
  if not job[1] or text(job[3]) == '1' then return end
  if owner ~= '' and job[1] ~= owner then return end
  if model ~= '' and job[2] ~= model then return end
  if code ~= '' and cjson.decode(head[3]).code ~= code then return end
  local errors = text(call('HGET', K.image(id), 'attempt_errors'))
  rows[#rows + 1] = {at, head[2], job[1], job[2], errors, image_row(id)}
end

-- Returns whether there are more than were looked at.
local function walk()
  local offset = 0
  while true do
    local found = call('ZREVRANGEBYSCORE', K.dead(), from or '+inf', '-inf', 'WITHSCORES', 'LIMIT', offset, most)
    for i = 1, #found, 2 do
      local id, at = found[i], tonumber(found[i + 1])
      if not (from and at == from and id >= after) then
        if #rows == limit or seen == most then return true end
        seen, last_at, last_id = seen + 1, at, id
        look_at(id, at)
      end
    end
    if #found < 2 * most then return false end
    offset = offset + most
  end
end

local more = walk()
-- a store that takes no writes can still be read
for _, id in ipairs(gone) do redis.pcall('ZREM', K.dead(), id) end
return cmsgpack.pack({more, last_at, last_id, rows})
