-- Appends events to their session streams and to the global stream, all in one step.
-- KEYS: 1 the epoch's sentinel, 2 the global stream, then each row's session stream.
-- ARGV: 1 sentinel expected, 2 run id expected, 3 length cap of a session stream, 4 its expiry in seconds, then for
-- each row: explicit seq ('' for a bare row, 'again' for one that may be there already), eventId, sessionId, seq shown, payload, replay token, other global key.
-- Returns {'epoch'} when this isn't the Redis that the caller knows (nothing is written then), else for each row:
-- 'published', 'present' (was there before), 'held' (an earlier one of its session failed), 'error: <reason>'.
-- Layout: one Redis primary, no Cluster: the streams hash to different slots.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'epoch'} end
if string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') ~= ARGV[2] then return {'epoch'} end
local kind = redis.call('TYPE', KEYS[2]).ok
if kind ~= 'stream' and kind ~= 'none' then
  return redis.error_reply('MISCONF the global stream ' .. KEYS[2] .. ' is a ' .. kind)
end

local cap, expiry = ARGV[3], ARGV[4]
local failed, expires = {}, {}

local function is_error(answer) return type(answer) == 'table' and answer.err ~= nil end

-- Redis 6.2 puts the script's own line before the code.
local function reason(answer) return 'error: ' .. (string.gsub(answer.err, '^@[^:]*:%s*%d+:%s*%-', '')) end


local function position(key)
  if redis.call('EXISTS', key) == 0 then return '0-0', nil end
  local info, last, first = redis.call('XINFO', 'STREAM', key), '0-0', nil
  for at = 1, #info, 2 do
    if info[at] == 'last-generated-id' then last = info[at + 1] end
    if info[at] == 'first-entry' and info[at + 1] then first = info[at + 1][1] end
  end
  return last, first
end

local function milliseconds(id) return tonumber(string.match(id, '^(%d+)%-')) end

local function above(last)
  local ms, n = string.match(last, '^(%d+)%-(%d+)$')
  return ms .. '-' .. string.format('%.0f', tonumber(n) + 1)
end

-- A row without a seq of its own can be told apart from its repetition only by looking.
local function is_recent(key, event)
  for _, entry in ipairs(redis.call('XREVRANGE', key, '+', '-', 'COUNT', 64)) do
    if entry[2][2] == event then return true end
  end
  return false
end

local function add_above(key, last, fields)
  local added = redis.pcall('XADD', key, 'MAXLEN', '~', cap, above(last), unpack(fields))
  if is_error(added) then return reason(added) end
  return 'published'
end

local function add_refused(key, seq, event, replay, fields)
  local id = seq .. '-0'
  local there = redis.call('XRANGE', key, id, id)[1]
  if there and there[2][2] == event then return 'present' end
  local last, first = position(key)
  -- Below what was trimmed away: it was there once, and doesn't come back behind its successors.
  if replay == '' and not there and (not first or tonumber(seq) < milliseconds(first)) then return 'present' end
  return add_above(key, last, fields)
end

local function add_to_session(key, seq, event, replay, fields)
  local explicit = seq ~= '' and seq ~= 'again'
  if explicit then
    if not is_error(redis.pcall('XADD', key, 'MAXLEN', '~', cap, seq .. '-0', unpack(fields))) then
      return 'published'
    end
  end
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'stream' and kind ~= 'none' then return 'error: WRONGTYPE ' .. key .. ' is a ' .. kind end
  if explicit then return add_refused(key, seq, event, replay, fields) end
  if seq == 'again' and kind == 'stream' and is_recent(key, event) then return 'present' end
  local last = position(key)
  return add_above(key, last, fields)
end

local function append(key, at)
  local seq, event, session, shown, payload, replay, other = unpack(ARGV, at, at + 6)
  if failed[session] then return 'held' end
  local fields = {'eventId', event, 'sessionId', session, 'seq', shown, 'payload', payload}
  if replay ~= '' then fields[9] = 'replay'; fields[10] = replay end
  local outcome = 'published'
  if key ~= KEYS[2] then
    outcome = add_to_session(key, seq, event, replay, fields)
    if string.sub(outcome, 1, 5) == 'error' then
      failed[session] = true
      return outcome
    end
    expires[key] = true
  end
  fields[#fields + 1] = 'streamKey'
  fields[#fields + 1] = key
  local added = redis.pcall('XADD', KEYS[2], '*', unpack(fields))
  if not is_error(added) and other ~= '' then added = redis.pcall('XADD', other, '*', unpack(fields)) end
  if is_error(added) then
    failed[session] = true
    return reason(added)
  end
  return outcome
end

local outcomes = {}
for row = 1, #KEYS - 2 do outcomes[row] = append(KEYS[row + 2], 5 + (row - 1) * 7) end
for key in pairs(expires) do redis.call('EXPIRE', key, expiry) end
return outcomes
