-- Generic cell rate algorithm over several buckets at once: takes from all of them, or from none.
-- {{{bucket, count, period_ms}, ...}, peek} -> for each {allowed, remaining, reset_ms, retry_ms}
-- A bucket is one number: when it will be full again (the theoretical arrival time).
local buckets, peek = unpack(cmsgpack.unpack(ARGV[1]))
local at, full_at, allowed = now_ms(), {}, true
for i, bucket in ipairs(buckets) do
  full_at[i] = math.max(num(call('GET', K.rate(bucket[1]))), at)
  if full_at[i] + bucket[3] / bucket[2] - bucket[3] > at then allowed = false end
end
local states = {}
for i, bucket in ipairs(buckets) do
  local interval, period = bucket[3] / bucket[2], bucket[3]
  local retry = math.max(0, full_at[i] + interval - period - at)
  if allowed and not peek then
    full_at[i] = full_at[i] + interval
    call('SET', K.rate(bucket[1]), string.format('%.3f', full_at[i]), 'PX', math.ceil(full_at[i] - at) + 1)
  end
  local remaining = math.floor((at + period - full_at[i]) / interval + 0.000001)
  states[i] = {retry == 0, math.max(0, remaining), math.ceil(full_at[i] - at), math.ceil(retry)}
end
return cmsgpack.pack(states)
