-- Pictures that came as addresses. A fetch (`fetch:ID`) is a hash with the addresses, `plan` and `image:ID` for each image
-- that needs them. Meanwhile these images wait in the queue with the score AWAITING_FETCH. Needs queue.lua.

local function fetch_of(image_id) return text(call('HGET', K.image(image_id), 'fetch')) end

local function fetch_task(fetch_id) return 'fetch:' .. fetch_id end

-- The addresses are gone, and nothing fetches them any more.
local function erase_fetch(fetch_id)
  call('DEL', K.fetch(fetch_id))
  dequeue(FETCH, fetch_task(fetch_id))
end

-- The images that need a fetch.
local function images_of_fetch(fetch_id)
  local ids = {}
  for _, name in ipairs(call('HKEYS', K.fetch(fetch_id))) do
    if string.sub(name, 1, 6) == 'image:' then ids[#ids + 1] = string.sub(name, 7) end
  end
  return ids
end

-- The image needs its pictures no more. The last one erases their addresses.
local function leave_fetch(image_id)
  local fetch_id = fetch_of(image_id)
  if fetch_id == '' or call('HDEL', K.fetch(fetch_id), 'image:' .. image_id) == 0 then return end
  if #images_of_fetch(fetch_id) > 0 then return end
  call('PUBLISH', channel('control'), 'cancel:' .. fetch_task(fetch_id))
  erase_fetch(fetch_id)
end

-- Queues an image, which waits for its pictures first where they are to be fetched. `score`: its place in the fair order.
-- Fetches are in the same order, so the addresses of one owner do not hold up those of others.
local function enqueue_image(image_id, score, at)
  local fetch_id = fetch_of(image_id)
  -- where the addresses are gone, the image starts and fails
  if fetch_id == '' or call('EXISTS', K.fetch(fetch_id)) == 0 then
    return enqueue(GENERATION, image_id, 'generate_model', image_id, score, at)
  end
  call('HSET', K.image(image_id), 'fetch_turn', score)
  call('HSET', K.fetch(fetch_id), 'image:' .. image_id, 1)
  enqueue(GENERATION, image_id, 'generate_model', image_id, AWAITING_FETCH, at)
  local task = fetch_task(fetch_id)
  if call('ZSCORE', ARQ_QUEUE .. FETCH, task) then return end
  call('HSET', K.fetch(fetch_id), 'tries', 0)
  enqueue(FETCH, task, 'fetch_pictures', fetch_id, score, at)
end

-- Whether this token is the fetch's fence.
local function holds_fetch(fetch_id, token)
  return call('GET', ARQ_IN_PROGRESS .. fetch_task(fetch_id)) == token and call('EXISTS', K.fetch(fetch_id)) == 1
end
