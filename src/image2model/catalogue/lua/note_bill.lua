-- Notes bookings for the statistics. {{{model, booked micro, {billed, quoted} or false}, ...}, how many are kept}
-- The last ones come last.
local noted, kept = unpack(cmsgpack.unpack(ARGV[1]))
local compared, costs = {}, {}
for _, one in ipairs(noted) do
  local model, booked, pair = unpack(one)
  if pair then
    if not compared[model] then
      local packed = call('HGET', K.bills(), model)
      compared[model] = packed and cmsgpack.unpack(packed) or {}
    end
    table.insert(compared[model], 1, pair)
  end
  if booked > 0 then costs[#costs + 1] = booked end
end
for model, pairs_ in pairs(compared) do
  while #pairs_ > kept do table.remove(pairs_) end
  if call('HSET', K.bills(), model, cmsgpack.pack(pairs_)) == 1 then call('PEXPIRE', K.bills(), FLEET_TTL) end
end
if #costs > 0 then
  local length = call('LPUSH', K.recent_costs(), unpack(costs))
  if length == #costs then call('PEXPIRE', K.recent_costs(), FLEET_TTL) end
  if length > 2 * kept then call('LTRIM', K.recent_costs(), 0, 2 * kept - 1) end
end
return 1
