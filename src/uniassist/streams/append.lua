-- KEYS: the global stream, then each row's session stream.
-- ARGV: length cap, expiry seconds, then for each row: explicit seq ('' for a bare row), eventId, sessionId, seq, payload, replay.
-- Returns for each row 'published', 'present' (that event has its id already) or 'error: ...'.
-- Layout: one Redis primary (no Cluster): both streams are written in one step.
local function above(last)
  local ms, n = string.match(last, '^(%d+)%-(%d+)$')
  return ms .. '-' .. string.format('%.0f', tonumber(n) + 1)
end
local function last_id(key)
  if redis.call('EXISTS', key) == 0 then return '0-0' end
  local info = redis.call('XINFO', 'STREAM', key)
  for i = 1, #info, 2 do if info[i] == 'last-generated-id' then return info[i + 1] end end
end
local function reason(failed) return 'error: ' .. failed.err end
local function append(key, at)
  local seq, event, session, shown, payload, replay = unpack(ARGV, at, at + 5)
  for _, stream in ipairs({key, KEYS[1]}) do
    local kind = redis.call('TYPE', stream).ok
    if kind ~= 'stream' and kind ~= 'none' then return 'error: WRONGTYPE ' .. stream .. ' is a ' .. kind end
  end
  local fields = {'eventId', event, 'sessionId', session, 'seq', shown, 'payload', payload}
  if replay ~= '' then table.insert(fields, 'replay'); table.insert(fields, replay) end
  local outcome, id = 'published', seq .. '-0'
  local added
  if seq ~= '' then added = redis.pcall('XADD', key, id, unpack(fields)) end
  if not added or (type(added) == "table" and added.err) then
    local there = seq ~= '' and redis.call('XRANGE', key, id, id)[1]
    if there and there[2][2] == event then
      outcome = 'present'
    else
      added = redis.pcall('XADD', key, above(last_id(key)), unpack(fields))
      if type(added) == "table" and added.err then return reason(added) end
    end
  end
  redis.call('XTRIM', key, 'MAXLEN', '~', ARGV[1])
  redis.call('EXPIRE', key, ARGV[2])
  -- Again also when present: a confirmation that was lost with the global stream comes anew; readers drop it by eventId.
  table.insert(fields, 'streamKey'); table.insert(fields, key)
  added = redis.pcall('XADD', KEYS[1], '*', unpack(fields))
  if type(added) == 'table' and added.err then return reason(added) end
  return outcome
end
local results = {}
for row = 1, #KEYS - 1 do results[row] = append(KEYS[row + 1], 3 + (row - 1) * 6) end
return results
