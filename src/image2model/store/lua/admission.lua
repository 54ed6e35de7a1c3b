-- What an owner may begin: decided in the home cell, by what the owner's images use and by what is reserved for requests
-- under way. ARCHITECTURE.md, "Cells", has the reasons. While there is one cell, it is read in the same step.
-- Needs accounts.lua.
--
-- A reservation has a token, the id of its first job, and counts in two hashes by it: `owner_reservations`, and
-- `address_reservations` where the images count for an address. `reservations` lists the tokens by time, and `reservation`
-- holds what ends one: {owner, address, {plain name of the idempotency key, idem_value, idem_ttl, pending value} or false,
-- at, start tags}.

-- The images and micro-dollars of a hash of reservations. One whose job is made is in the share already.
local function reserved_in(hash)
  local images, micro, entries = 0, 0, call('HGETALL', hash)
  for i = 1, #entries, 2 do
    if call('EXISTS', K.job(entries[i])) == 0 then
      local one = cmsgpack.unpack(entries[i + 1])
      images, micro = images + one[1], micro + one[2]
    end
  end
  return images, micro
end

-- {unfinished images, spent in the period, reserved}: for images, and for requests under way.
local function usage_of(owner, period, at)
  local usage = share_of(owner, period, at)
  local images, micro = reserved_in(K.owner_reservations(owner))
  return {usage[1] + images, usage[2], usage[3] + micro}
end

-- Unfinished images of an address, over all keys that are capped by address.
local function unfinished_at(address)
  if address == '' then return 0 end
  return num(call('HGET', K.addresses(), address)) + reserved_in(K.address_reservations(address))
end

-- Why `count` images for `micro` in all may not be accepted, or nothing if they may: {'revoked'},
-- {'queue_full', unfinished, most}, {'address_full', most}, {'budget', what is left}.
-- `allowance` is {key digest or '', max_queued, budget or false, period, address or '', most of the address}; without
-- it there is no limit, and without an address none for the address.
local function admission_refusal(owner, allowance, count, micro, at)
  if not allowance then return nil end
  local key, most, budget, period, address, most_there = unpack(allowance)
  if key ~= '' and not valid_key(key, at) then return {'revoked'} end
  local usage = usage_of(owner, period, at)
  if usage[1] + count > most then return {'queue_full', usage[1], most} end
  if address ~= '' and unfinished_at(address) + count > most_there then return {'address_full', most_there} end
  if budget then
    local left = budget - usage[2] - usage[3]
    if micro > left then return {'budget', left} end
  end
  return nil
end

-- Whether the image's budget covers `micro` more; never when it is overrun already.
local function affordable(image_id, micro, at)
  local left = budget_left(image_id, call('HGET', K.image(image_id), 'owner'), at, usage_of)
  return not left or micro <= left
end

-- What is kept names a key as stores with plain names do: `upgrade --tags` changes names, and no values.
local function plain_name(name) return PLAIN .. string.sub(name, #PREFIX + 1) end

local function named_plainly(name) return PREFIX .. string.sub(name, #PLAIN + 1) end

-- What a reservation left, or nothing where it has ended.
local function reservation_of(token)
  local packed = call('GET', K.reservation(token))
  return packed and cmsgpack.unpack(packed) or nil
end

local function open_reservation(token, images, micro, entry)
  local owner, address, _, at = unpack(entry)
  local amount = cmsgpack.pack({images, micro})
  call('SET', K.reservation(token), cmsgpack.pack(entry), 'PX', GRACE_TTL)
  call('HSET', K.owner_reservations(owner), token, amount)
  call('PEXPIRE', K.owner_reservations(owner), GRACE_TTL)
  if address ~= '' then
    call('HSET', K.address_reservations(address), token, amount)
    call('PEXPIRE', K.address_reservations(address), GRACE_TTL)
  end
  call('ZADD', K.reservations(), at, token)
  call('PEXPIRE', K.reservations(), FLEET_TTL)
end

-- Ends a reservation, and returns what it left.
local function close_reservation(token)
  call('ZREM', K.reservations(), token)
  local entry = reservation_of(token)
  if not entry then return nil end
  call('DEL', K.reservation(token))
  call('HDEL', K.owner_reservations(entry[1]), token)
  if entry[2] ~= '' then call('HDEL', K.address_reservations(entry[2]), token) end
  return entry
end
