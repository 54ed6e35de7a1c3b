-- API keys, and what their owners may use: shared by all scripts, after base.lua.

local TOUCH_EVERY = 60000

-- A key's record while it is good, else nothing. Notes its use, at most once a minute; a store that takes no
-- writes still lets keys in, so that what is there can be read.
local function good_key(digest, at)
  local name = K.api_key(digest)
  local row = call('HMGET', name, 'key_id', 'owner', 'role', 'rate', 'max_queued', 'budget_micro', 'budget_period',
    'revoked_at', 'expires_at', 'last_used_at')
  if not row[1] or text(row[8]) ~= '' then return nil end
  if num(row[9]) > 0 and num(row[9]) <= at then return nil end
  if at - num(row[10]) >= TOUCH_EVERY then redis.pcall('HSET', name, 'last_used_at', at) end
  return row
end

-- The UTC day (2026-11-24) and month (2026-11) of a time in ms. Days to civil dates, proleptic Gregorian:
-- eras of 400 years, years that begin in March, so that the leap day comes last.
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

-- {unfinished images, spent in the period, set aside for what is under way}
local function usage_of(owner, period, at)
  local row = call('HMGET', K.account(owner), 'unfinished', 'reserved')
  return {num(row[1]), spent_in(owner, period, at), num(row[2])}
end

-- Unfinished images of an address, over all the keys that are held to it.
local function unfinished_at(address)
  return address == '' and 0 or num(call('HGET', K.addresses(), address))
end

-- Whether `count` images for `micro` in all may begin. Nothing, or why not: {'revoked'},
-- {'queue_full', unfinished, most}, {'address_full', most}, {'budget', what is left}.
-- `allowance` is {key digest or '', max_queued, budget or false, period, address or '', most of the address};
-- without one there is no bound, and without an address none for it.
local function refusal(owner, allowance, count, micro, at)
  if not allowance then return nil end
  local key, most, budget, period, address, most_there = unpack(allowance)
  if key ~= '' and not good_key(key, at) then return {'revoked'} end
  local usage = usage_of(owner, period, at)
  if usage[1] + count > most then return {'queue_full', usage[1], most} end
  if address ~= '' and unfinished_at(address) + count > most_there then return {'address_full', most_there} end
  if budget then
    local left = budget - usage[2] - usage[3]
    if micro > left then return {'budget', left} end
  end
  return nil
end

-- Money is spent: it counts for the owner's periods and in the day's table of owners and models.
local function charge(owner, model, micro, at)
  local day, month = civil(at)
  local account = K.account(owner)
  local row = call('HMGET', account, 'day', 'month')
  if row[1] ~= day then call('HSET', account, 'day', day, 'day_spent', 0) end
  if row[2] ~= month then call('HSET', account, 'month', month, 'month_spent', 0) end
  for _, field in ipairs({'day_spent', 'month_spent', 'total_spent'}) do call('HINCRBY', account, field, micro) end
  call('HINCRBY', K.spend(day), owner .. ' ' .. model, micro)
  call('PEXPIRE', K.spend(day), SPEND_TTL)
end

-- An image becomes unfinished: it counts, and its price is set aside.
local function open_account(image_id, owner, unit)
  call('HSET', K.image(image_id), 'unit_micro', unit, 'reserved_micro', unit)
  call('HINCRBY', K.account(owner), 'unfinished', 1)
  call('HINCRBY', K.account(owner), 'reserved', unit)
end

-- An image counts for the address that asked for it just now, once, until it is final. `origins` (image ->
-- address) and `addresses` (address -> how many) change together only, so the number cannot drift. They hold
-- addresses as they are: these are few enough to try them all, so a digest would hide nothing from who can read
-- the store, and the secret of a keyed one lies beside it. What protects them is that they are forgotten with
-- the image's end, and that they are in no field of the image and no key that a backup keeps.
local function count_at_address(image_id, allowance)
  local address = allowance and allowance[5] or ''
  if address == '' or call('HSETNX', K.origins(), image_id, address) == 0 then return end
  call('HINCRBY', K.addresses(), address, 1)
  call('PEXPIRE', K.origins(), FLEET_TTL)
  call('PEXPIRE', K.addresses(), FLEET_TTL)
end

-- Whether there was something to free.
local function free_address(image_id)
  local address = call('HGET', K.origins(), image_id)
  if not address then return false end
  call('HDEL', K.origins(), image_id)
  if call('HINCRBY', K.addresses(), address, -1) <= 0 then call('HDEL', K.addresses(), address) end
  return true
end

-- An image that counts no longer does, and what was set aside is free. Twice is as good as once.
local function close_account(image_id)
  free_address(image_id)
  local row = call('HMGET', K.image(image_id), 'owner', 'reserved_micro')
  if text(row[2]) == '' then return end
  call('HSET', K.image(image_id), 'reserved_micro', '')
  call('HINCRBY', K.account(row[1]), 'unfinished', -1)
  call('HINCRBY', K.account(row[1]), 'reserved', -num(row[2]))
end

-- What a change of an image means for its owner's account. `spent` is what its cost rose by; a price that
-- only FAL knows counts as what was set aside. Money that is spent stays spent, whatever is shown later.
local function settle(image_id, job_id, from, to, spent, at)
  local row = call('HMGET', K.image(image_id), 'owner', 'unit_micro', 'cost_micro')
  if from ~= to and to == 'succeeded' and text(row[3]) == '' then spent = num(row[2]) end
  if spent > 0 then charge(row[1], call('HGET', K.job(job_id), 'model'), spent, at) end
  if UNFINISHED[from] and FINISHED[to] then close_account(image_id) end
  if FINISHED[from] and UNFINISHED[to] then open_account(image_id, row[1], num(row[2])) end
end
