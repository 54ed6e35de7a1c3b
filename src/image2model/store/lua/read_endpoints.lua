-- The endpoints whose circuit is open. Returns {{model, opened_at, why, words, probe_at, how many wait}, ...}.
local open = {}
for _, model in ipairs(call('SMEMBERS', K.endpoints())) do
  local row = call('HMGET', K.endpoint(model), 'opened_at', 'why', 'words', 'probe_at')
  open[#open + 1] = {model, num(row[1]), text(row[2]), text(row[3]), num(row[4]), call('ZCARD', K.endpoint_waiting(model))}
end
return cmsgpack.pack(open)
