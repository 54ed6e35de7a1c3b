-- API keys, and what their owners use and have spent in this cell. Needs base.lua.

local TOUCH_EVERY = 60000

-- A valid key's record, or nothing. Notes its use at most once a minute. A store that takes no writes accepts keys too,
-- so that clients can read what is there.
local function valid_key(digest, at)
  local name = K.api_key(digest)
  local row = call('HMGET', name, 'key_id', 'owner', 'role', 'rate', 'max_queued', 'budget_micro', 'budget_period',
    'models', 'revoked_at', 'expires_at', 'last_used_at')
  if not row[1] or text(row[9]) ~= '' then return nil end
  if num(row[10]) > 0 and num(row[10]) <= at then return nil end
  if at - num(row[11]) >= TOUCH_EVERY then redis.pcall('HSET', name, 'last_used_at', at) end
  return row
end

-- The UTC day (2026-11-24) and month (2026-11) of a time in ms. Days to civil dates, proleptic Gregorian: eras of 400
-- years, and years that begin in March, so that the leap day comes last.
local function civil(at)
  local days = math.floor(at / 86400000) + 719468
  local era = math.floor(days / 146097)
  local of_era = days - era * 146097
  local year = math.floor((of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524)
    - math.floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local from_march = math.floor((5 * of_year + 2) / 153)
  local day = of_year - math.floor((153 * from_march + 2) / 5) + 1
  local number = from_march < 10 and from_march + 3 or from_march - 9
  if number <= 2 then year = year + 1 end
  local month = string.format('%04d-%02d', year + era * 400, number)
  return string.format('%s-%02d', month, day), month
end

-- Micro-dollars that an owner has spent in the period (`day`, `month`, `total`) of this moment.
local function spent_in(owner, period, at)
  local day, month = civil(at)
  local row = call('HMGET', K.account(owner), 'day', 'day_spent', 'month', 'month_spent', 'total_spent')
  if period == 'day' then return row[1] == day and num(row[2]) or 0 end
  if period == 'month' then return row[3] == month and num(row[4]) or 0 end
  return num(row[5])
end

-- This cell's share of an owner's account: {unfinished images, spent in the period, reserved for images under way}
local function share_of(owner, period, at)
  local row = call('HMGET', K.account(owner), 'unfinished', 'reserved')
  return {num(row[1]), spent_in(owner, period, at), num(row[2])}
end

local ACCOUNT_FIELDS = {'unfinished', 'reserved', 'day', 'day_spent', 'month', 'month_spent', 'total_spent'}

-- Adds money spent to the owner's periods and to the day's table of owners and models.
local function charge(owner, model, micro, at)
  local day, month = civil(at)
  local account = K.account(owner)
  buffer_hash(account, ACCOUNT_FIELDS)
  local row = call('HMGET', account, 'day', 'month')
  if row[1] ~= day then call('HSET', account, 'day', day, 'day_spent', 0) end
  if row[2] ~= month then call('HSET', account, 'month', month, 'month_spent', 0) end
  for _, field in ipairs({'day_spent', 'month_spent', 'total_spent'}) do call('HINCRBY', account, field, micro) end
  -- a new table begins with a new entry
  local entry = owner .. ' ' .. model
  if call('HINCRBY', K.spend(day), entry, micro) == micro then call('PEXPIRE', K.spend(day), SPEND_TTL) end
end

-- An image becomes unfinished: it counts, and its price is reserved.
local function open_account(image_id, owner, unit)
  buffer_hash(K.account(owner), ACCOUNT_FIELDS)
  call('HSET', K.image(image_id), 'unit_micro', unit, 'reserved_micro', unit)
  call('HINCRBY', K.account(owner), 'unfinished', 1)
  call('HINCRBY', K.account(owner), 'reserved', unit)
end

-- Counts an image for the address that requested it last, once, until it is final. `origins` (image -> address) and
-- `addresses` (address -> how many) only change together, so the number cannot drift. They hold addresses in the clear:
-- all addresses can be tried, so a digest would hide nothing from a reader of the store, and the secret of a keyed
-- digest is in the store too. What protects them is that they are deleted when the image ends, and that they are in no
-- field of the image and in no key that a backup keeps.
local function count_at_address(image_id, allowance)
  local address = allowance and allowance[5] or ''
  if address == '' or call('HSETNX', K.origins(), image_id, address) == 0 then return end
  call('HINCRBY', K.addresses(), address, 1)
  call('PEXPIRE', K.origins(), FLEET_TTL)
  call('PEXPIRE', K.addresses(), FLEET_TTL)
end

-- Stops counting an image for its address. Returns whether it counted.
local function free_address(image_id)
  local address = call('HGET', K.origins(), image_id)
  if not address then return false end
  call('HDEL', K.origins(), image_id)
  if call('HINCRBY', K.addresses(), address, -1) <= 0 then call('HDEL', K.addresses(), address) end
  return true
end

-- An image becomes final: it no longer counts, and its reservation is released. Idempotent.
local function close_account(image_id)
  free_address(image_id)
  local row = call('HMGET', K.image(image_id), 'owner', 'reserved_micro')
  if text(row[2]) == '' then return end
  call('HSET', K.image(image_id), 'reserved_micro', '')
  buffer_hash(K.account(row[1]), ACCOUNT_FIELDS)
  call('HINCRBY', K.account(row[1]), 'unfinished', -1)
  call('HINCRBY', K.account(row[1]), 'reserved', -num(row[2]))
end

-- Notes the budget that an image was accepted under, for decisions and bookings after the request. A replay by an admin
-- is under none.
local function note_budget(image_id, allowance)
  if allowance and allowance[3] then
    call('HSET', K.image(image_id), 'budget_micro', allowance[3], 'budget_period', allowance[4])
  else
    call('HDEL', K.image(image_id), 'budget_micro', 'budget_period')
  end
end

-- Micro-dollars left of the image's budget, below 0 once it is overrun; nothing where it has none. `read` is `usage_of`,
-- or `share_of` where what is reserved for requests under way does not matter.
local function budget_left(image_id, owner, at, read)
  local budget = call('HMGET', K.image(image_id), 'budget_micro', 'budget_period')
  if not budget[1] then return nil end
  local usage = read(owner, budget[2], at)
  return num(budget[1]) - usage[2] - usage[3]
end

-- An image reserves the price of its next attempt, and of the phases after the present one (`later_micro`): `unit_micro`
-- is both together. Without a phase nothing comes later.

-- How much must be reserved before the next attempt; `held`: the present attempt's part of the reservation stays with it.
local function reservation_shortfall(image_id, held)
  local row = call('HMGET', K.image(image_id), 'unit_micro', 'reserved_micro', 'later_micro')
  if text(row[2]) == '' then return 0 end
  local kept = held and math.min(num(row[2]), num(row[3])) or num(row[2])
  return math.max(0, num(row[1]) - kept)
end

local function reserve_more(image_id, micro)
  if micro == 0 then return end
  call('HINCRBY', K.image(image_id), 'reserved_micro', micro)
  call('HINCRBY', K.account(call('HGET', K.image(image_id), 'owner')), 'reserved', micro)
end

-- A hold keeps the reservation of an attempt that FAL may still bill, after its image has ended or begun another
-- attempt, until the request is booked or HOLD_TTL is over. `holds`: hold -> when it is released; `held`: hold ->
-- {owner, model, micro}, since the image may be erased by then.
local function hold_of(image_id, attempt) return image_id .. ':' .. attempt end

local function hold(image_id, attempt, at)
  local row = call('HMGET', K.image(image_id), 'owner', 'reserved_micro', 'later_micro')
  local later = math.min(num(row[2]), num(row[3]))
  if num(row[2]) == later then return end
  call('HSET', K.image(image_id), 'reserved_micro', later)
  local name = hold_of(image_id, attempt)
  call('HSET', K.held(), name, cjson.encode({row[1], text(model_of(image_id)), num(row[2]) - later}))
  call('ZADD', K.holds(), at + HOLD_TTL, name)
  call('PEXPIRE', K.held(), FLEET_TTL)
  call('PEXPIRE', K.holds(), FLEET_TTL)
end

-- Releases a hold and returns {owner, model, micro}, or nothing.
local function release_hold(name)
  call('ZREM', K.holds(), name)
  local entry = call('HGET', K.held(), name)
  if not entry then return nil end
  call('HDEL', K.held(), name)
  local held = cjson.decode(entry)
  call('HINCRBY', K.account(held[1]), 'reserved', -held[3])
  return held
end

-- The bookings of an image: FAL's request id -> {micro, nonce, overrun, attempt}.
local function bookings_of(image_id)
  local row = call('HMGET', K.image(image_id), 'job_id', 'booked')
  local booked = row[2] or (not row[1] and call('GET', K.booked(image_id)))
  return text(booked) ~= '' and cjson.decode(booked) or {}
end

-- Erases an image. Its bookings are kept for one more day, so that a repeated booking stays harmless.
local function erase_image(image_id)
  local booked = text(call('HGET', K.image(image_id), 'booked'))
  if booked ~= '' then call('SET', K.booked(image_id), booked, 'PX', GRACE_TTL) end
  call('DEL', K.image(image_id))
end

-- The booking of this request, or of the POST that led to it: one POST is booked at most once, whatever its request id.
local function booking_of(bookings, request_id, attempt)
  if bookings[request_id] then return bookings[request_id] end
  for _, entry in pairs(bookings) do
    if attempt ~= '' and entry[4] == attempt then return entry end
  end
  return nil
end

-- Releases up to `micro` of the image's own reservation; returns how much.
local function release_reservation(image_id, owner, micro)
  local released = math.min(micro, num(call('HGET', K.image(image_id), 'reserved_micro')))
  if released == 0 then return 0 end
  call('HINCRBY', K.image(image_id), 'reserved_micro', -released)
  call('HINCRBY', K.account(owner), 'reserved', -released)
  return released
end

local function add_cost(image_id, job_id, micro, uncertain)
  local image = K.image(image_id)
  call('HSET', image, 'cost_micro', num(call('HGET', image, 'cost_micro')) + micro)
  if uncertain then call('HSET', image, 'cost_uncertain', 1) end
  if micro > 0 and call('HEXISTS', K.job(job_id), 'owner') == 1 then
    call('HINCRBY', K.job(job_id), 'cost_micro', micro)
  end
end

-- Books what FAL charged for one request, once, whichever worker holds the image and whether or not it still exists.
-- `owner` and `model` may be false where the hold or the image has them. `micro` may be false: then it is what was
-- reserved for the attempt, which must be the image's present one or a held one. `attempt` is '' for the image's
-- present request. A repeated `nonce` is the same call again, whose reply was lost. Returns {1 booked | 0 booked before
-- | -1 no known attempt, micro, overrun, model}. The overrun is by how much the owner's budget was exceeded because FAL
-- charged more than was reserved.
local function book(image_id, owner, model, request_id, attempt, micro, uncertain, nonce, at)
  local row = call('HMGET', K.image(image_id), 'job_id', 'request_id', 'attempt_token', 'unit_micro', 'owner',
    'later_micro', 'status')
  if attempt == '' and row[2] == request_id then attempt = text(row[3]) end
  local bookings = bookings_of(image_id)
  local before = booking_of(bookings, request_id, attempt)
  if before then return {before[2] == nonce and 1 or 0, before[1], before[3], model or ''} end
  local present = attempt ~= '' and attempt == row[3]
  -- a hold begins when its image ends or begins another attempt
  local held = attempt ~= '' and not (present and UNFINISHED[row[7]]) and release_hold(hold_of(image_id, attempt))
  owner = owner or (held and held[1]) or row[5]
  if owner then buffer_hash(K.account(owner), ACCOUNT_FIELDS) end
  model = model or (held and held[2]) or model_of(image_id) or ''
  if not owner or not (micro or held or present) then return {-1, 0, 0, ''} end
  micro = micro or (held and held[3]) or num(row[4]) - num(row[6])
  local released = held and held[3] or 0
  if not held and present then released = release_reservation(image_id, owner, micro) end
  if row[1] then add_cost(image_id, row[1], micro, uncertain) end
  if micro > 0 then charge(owner, model, micro, at) end
  local left = micro > released and row[1] and budget_left(image_id, owner, at, share_of)
  local overrun = left and math.max(0, math.min(micro - released, -left)) or 0
  bookings[request_id] = {micro, nonce, overrun, attempt}
  if row[1] then
    call('HSET', K.image(image_id), 'booked', cjson.encode(bookings))
  else
    call('SET', K.booked(image_id), cjson.encode(bookings), 'PX', GRACE_TTL)
  end
  return {1, micro, overrun, model}
end

-- Whether FAL may still bill the attempt that an image leaves: its reply was lost, or it was still running.
local function may_be_billed(image_id, from)
  local row = call('HMGET', K.image(image_id), 'posting_at', 'request_id', 'attempt_token')
  if text(row[3]) == '' then return false end
  if text(row[2]) == '' then return text(row[1]) ~= '' end
  return AT_FAL[from] and not booking_of(bookings_of(image_id), row[2], row[3])
end

-- Updates the owner's account for a move of an image. It never changes a cost: only `book` does.
local function update_account(image_id, from, to, at)
  local row = call('HMGET', K.image(image_id), 'owner', 'unit_micro', 'attempt_token')
  if UNFINISHED[from] and FINISHED[to] then
    if to ~= 'succeeded' and may_be_billed(image_id, from) then hold(image_id, row[3], at) end
    close_account(image_id)
  end
  if FINISHED[from] and UNFINISHED[to] then open_account(image_id, row[1], num(row[2])) end
end
