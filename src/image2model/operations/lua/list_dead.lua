-- Lists dead letters after the position (at, id), newest first, as far as they match the filter.
-- {at or false, id, limit, max_scanned, code, model, owner} -> {more, at, id, {{failed_at, job_id, owner,
-- model, attempt errors, image row}, ...}}; the returned (at, id) is the last position that was scanned.
local from, after, limit, max_scanned, code, model, owner = unpack(cmsgpack.unpack(ARGV[1]))
local rows, gone, scanned, last_at, last_id = {}, {}, 0, from or 0, after

local function add_if_matching(id, at)
  local image = call('HMGET', K.image(id), 'status', 'job_id', 'error')
  if image[1] ~= 'failed' then
    gone[#gone + 1] = id
    return
  end
  local job = call('HMGET', K.job(image[2]), 'owner', 'model', 'deleted')
  if not job[1] or text(job[3]) == '1' then return end
  if owner ~= '' and job[1] ~= owner then return end
  if model ~= '' and job[2] ~= model then return end
  if code ~= '' and cjson.decode(image[3]).code ~= code then return end
  local errors = text(call('HGET', K.image(id), 'attempt_errors'))
  rows[#rows + 1] = {at, image[2], job[1], job[2], errors, image_row(id)}
end

-- Returns whether there are more than were scanned.
local function scan()
  local offset = 0
  while true do
    local found = call(
      'ZREVRANGEBYSCORE', K.dead(), from or '+inf', '-inf', 'WITHSCORES', 'LIMIT', offset, max_scanned)
    for i = 1, #found, 2 do
      local id, at = found[i], tonumber(found[i + 1])
      if not (from and at == from and id >= after) then
        if #rows == limit or scanned == max_scanned then return true end
        scanned, last_at, last_id = scanned + 1, at, id
        add_if_matching(id, at)
      end
    end
    if #found < 2 * max_scanned then return false end
    offset = offset + max_scanned
  end
end

local more = scan()
-- pcall, because a store that refuses writes can still be read
for _, id in ipairs(gone) do redis.pcall('ZREM', K.dead(), id) end
return cmsgpack.pack({more, last_at, last_id, rows})
