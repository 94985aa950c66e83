-- Appends events to their session streams and to the global stream, all in one step.
-- KEYS: 1 the epoch's sentinel, 2 the global stream, then each row's session stream.
-- ARGV: 1 sentinel expected, 2 run id expected, 3 length cap of a session stream, 4 its expiry in seconds, then for
-- each row: explicit seq ('' for a bare row), eventId, sessionId, seq shown, payload, replay token, other global key,
-- CloudEvents type and time, traceparent.
-- Returns {'epoch'} when this isn't the Redis that the caller knows (nothing is written then), else for each row:
-- 'published', 'present' (was there before), 'held' (an earlier one of its session failed), 'error: <reason>'.
-- Layout: one Redis primary, no Cluster: the streams hash to different slots.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'epoch'} end
if string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') ~= ARGV[2] then return {'epoch'} end

local function type_of(key) return redis.call('TYPE', key).ok end

local kind = type_of(KEYS[2])
if kind == 'none' then return {'epoch'} end
if kind ~= 'stream' then
  return redis.error_reply('MISCONF the global stream ' .. KEYS[2] .. ' is a ' .. kind)
end

local REMEMBERED_SECONDS = 3600
local cap, expiry = ARGV[3], ARGV[4]
local failed, expires = {}, {}

local function is_error(answer) return type(answer) == 'table' and answer.err ~= nil end

-- Redis 6.2 puts the script's own line before the code.
local function reason(answer) return 'error: ' .. (string.gsub(answer.err, '^@[^:]*:%s*%d+:%s*%-', '')) end

local function wrong_type(key)
  local found = type_of(key)
  if found ~= 'stream' and found ~= 'none' then return 'error: WRONGTYPE ' .. key .. ' is a ' .. found end
end

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

local function add_above(key, last, fields)
  local added = redis.pcall('XADD', key, 'MAXLEN', '~', cap, above(last), unpack(fields))
  if is_error(added) then return reason(added) end
  return 'published'
end

local function add_explicit(key, seq, event, replay, fields)
  local id = seq .. '-0'
  if not is_error(redis.pcall('XADD', key, 'MAXLEN', '~', cap, id, unpack(fields))) then return 'published' end
  local wrong = wrong_type(key)
  if wrong then return wrong end
  local there = redis.call('XRANGE', key, id, id)[1]
  if there and there[2][2] == event then return 'present' end
  local last, first = position(key)
  -- Below what was trimmed away: it was there once, and doesn't come back behind its successors.
  if replay == '' and not there and (not first or tonumber(seq) < milliseconds(first)) then return 'present' end
  return add_above(key, last, fields)
end

-- No id of its own tells a bare row from its repetition, so its publishing is remembered, within this epoch's data.
local function add_bare(key, event, replay, fields)
  local wrong = wrong_type(key)
  if wrong then return wrong end
  local memory = KEYS[1] .. ':' .. event .. ':' .. replay
  if not redis.call('SET', memory, '', 'NX', 'EX', REMEMBERED_SECONDS) then return 'present' end
  local last = position(key)
  local outcome = add_above(key, last, fields)
  if outcome ~= 'published' then redis.call('DEL', memory) end
  return outcome
end

local function add_if(fields, name, value)
  if value ~= '' then fields[#fields + 1] = name; fields[#fields + 1] = value end
end

local function append(key, at)
  local seq, event, session, shown, payload, replay, other, ce_type, ce_time, trace = unpack(ARGV, at, at + 9)
  if failed[session] then return 'held' end
  if other == key then other = '' end
  local fields = {
    'eventId', event, 'sessionId', session, 'seq', shown, 'payload', payload,
    'ce_specversion', '1.0', 'ce_id', event, 'ce_source', '/uniassist', 'ce_type', ce_type, 'ce_subject', session,
  }
  add_if(fields, 'ce_time', ce_time)
  if seq ~= '' then add_if(fields, 'ce_sequence', string.format('%020d', seq)) end
  add_if(fields, 'traceparent', trace)
  add_if(fields, 'replay', replay)
  local outcome = other ~= '' and wrong_type(other) or 'published'
  if outcome == 'published' and key ~= KEYS[2] then
    if seq ~= '' then
      outcome = add_explicit(key, seq, event, replay, fields)
    else
      outcome = add_bare(key, event, replay, fields)
    end
    expires[key] = true
  end
  if string.sub(outcome, 1, 5) == 'error' then
    failed[session] = true
    expires[key] = nil
    return outcome
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
for row = 1, #KEYS - 2 do outcomes[row] = append(KEYS[row + 2], 5 + (row - 1) * 10) end
for key in pairs(expires) do redis.call('EXPIRE', key, expiry) end
return outcomes
