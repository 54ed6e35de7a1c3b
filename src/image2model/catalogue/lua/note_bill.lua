-- Notes a booking for the statistics. {model, booked micro, {billed, quoted} or false, how many are kept}
local model, booked, compared, kept = unpack(cmsgpack.unpack(ARGV[1]))
if compared then
  local packed = call('HGET', K.bills(), model)
  local pairs_ = packed and cmsgpack.unpack(packed) or {}
  table.insert(pairs_, 1, compared)
  while #pairs_ > kept do table.remove(pairs_) end
  if call('HSET', K.bills(), model, cmsgpack.pack(pairs_)) == 1 then call('PEXPIRE', K.bills(), FLEET_TTL) end
end
if booked > 0 then
  local length = call('LPUSH', K.recent_costs(), booked)
  if length == 1 then call('PEXPIRE', K.recent_costs(), FLEET_TTL) end
  if length > 2 * kept then call('LTRIM', K.recent_costs(), 0, 2 * kept - 1) end
end
return 1
