-- Appends events to their session streams and to the global stream, all in one step.
-- KEYS: 1 the epoch's sentinel, 2 the global stream, then each row's session stream.
-- ARGV: 1 sentinel expected, 2 length cap of a session stream, 3 its expiry in seconds, 4 what the channels of sessions
-- begin with, on which it says that they moved, then for each row: explicit seq ('' for a bare row), eventId, sessionId, seq shown, payload, replay token, other global key,
-- CloudEvents type and time, traceparent.
-- Returns {'epoch'} when this isn't the Redis that the caller knows (nothing is written then), else for each row:
-- 'published', 'present' (was there before), 'behind' (published now, after successors of its session, which should
-- not be), 'held' (an earlier one of its session failed), 'error: <reason>', or 'stopped: <reason>': the global stream
-- takes nothing more, whatever it is, and what follows is 'held'.
-- Layout: all keys of a call, and those made of the sentinel's name here, are of one lane, hence in one slot of a Cluster.
local function asked(section, field) return string.match(redis.call('INFO', section), field .. ':(%x+)') end

local epoch = string.match(ARGV[1], '^[^:]*')
local holding = table.concat({epoch, asked('server', 'run_id'), asked('replication', 'master_replid')}, ':')
if ARGV[1] ~= holding or redis.call('GET', KEYS[1]) ~= holding then return {'epoch'} end

local function type_of(key) return redis.call('TYPE', key).ok end

local kind = type_of(KEYS[2])
if kind == 'none' then return {'epoch'} end
if kind ~= 'stream' then
  return redis.error_reply('MISCONF the global stream ' .. KEYS[2] .. ' is a ' .. kind)
end

local REMEMBERED_SECONDS = 3600
local cap, expiry = ARGV[2], ARGV[3]
local failed, expires, moved, stopped = {}, {}, {}, false

local function is_error(answer) return type(answer) == 'table' and answer.err ~= nil end

-- Redis 6.2 puts the script's own line before the code.
local function reason(answer) return 'error: ' .. (string.gsub(answer.err, '^@[^:]*:%s*%d+:%s*%-', '')) end

local function wrong_type(key)
  local found = type_of(key)
  if found ~= 'stream' and found ~= 'none' then return 'error: WRONGTYPE ' .. key .. ' is a ' .. found end
end

local function position(key)
  if redis.call('EXISTS', key) == 0 then return '0-0', nil, 0 end
  local info, last, first, length = redis.call('XINFO', 'STREAM', key), '0-0', nil, 0
  for at = 1, #info, 2 do
    if info[at] == 'last-generated-id' then last = info[at + 1] end
    if info[at] == 'first-entry' and info[at + 1] then first = info[at + 1][1] end
    if info[at] == 'length' then length = info[at + 1] end
  end
  return last, first, length
end

local function milliseconds(id) return tonumber(string.match(id, '^(%d+)%-')) end

local function above(last)
  local ms, n = string.match(last, '^(%d+)%-(%d+)$')
  return ms .. '-' .. string.format('%.0f', tonumber(n) + 1)
end

-- Milliseconds of the last id of a stream, where this call has added to it.
local reached = {}

-- `<ms>-*` is just above the last entry where that has these milliseconds, and refused where it has more. A stream of
-- bare rows alone has none, so mostly nothing is looked up; Redis 6.2 knows no such id.
local function add_next(key, fields)
  local added = redis.pcall('XADD', key, 'MAXLEN', '~', cap, (reached[key] or '0') .. '-*', unpack(fields))
  if not is_error(added) then return end
  local wrong = wrong_type(key)
  if wrong then return wrong end
  local id = above(position(key))
  added = redis.pcall('XADD', key, 'MAXLEN', '~', cap, id, unpack(fields))
  if is_error(added) then return reason(added) end
  reached[key] = string.match(id, '^%d+')
end

-- No id tells such an entry from its repetition, so its publishing is remembered, within this epoch's data.
local function add_above(key, event, replay, fields)
  local memory = KEYS[1] .. ':' .. event .. ':' .. replay
  local remembered = redis.pcall('SET', memory, '', 'NX', 'EX', REMEMBERED_SECONDS)
  if not remembered then return wrong_type(key) or 'present' end
  if is_error(remembered) then return reason(remembered) end
  local wrong = add_next(key, fields)
  if not wrong then return 'published' end
  redis.call('DEL', memory)
  return wrong
end

local function add_explicit(key, seq, event, replay, fields)
  local id = seq .. '-0'
  if not is_error(redis.pcall('XADD', key, 'MAXLEN', '~', cap, id, unpack(fields))) then
    reached[key] = seq
    return 'published'
  end
  local wrong = wrong_type(key)
  if wrong then return wrong end
  local there = redis.call('XRANGE', key, id, id)[1]
  if there and there[2][2] == event then return 'present' end
  if there or replay ~= '' then return add_above(key, event, replay, fields) end
  -- Below what was trimmed away: it was there once, and doesn't come back behind its successors. Only a stream at its
  -- cap was trimmed (a trim leaves at least as many); in any other, what is missing was never there.
  local _, first, length = position(key)
  if length >= tonumber(cap) and tonumber(seq) < milliseconds(first) then return 'present' end
  local outcome = add_above(key, event, replay, fields)
  return outcome == 'published' and 'behind' or outcome
end

local function add_if(fields, name, value)
  if value ~= '' then fields[#fields + 1] = name; fields[#fields + 1] = value end
end

local function append(key, at)
  local seq, event, session, shown, payload, replay, other, ce_type, ce_time, trace = unpack(ARGV, at, at + 9)
  if stopped or failed[session] then return 'held' end
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
      outcome = add_above(key, event, replay, fields)
    end
    expires[key] = true
  end
  if string.sub(outcome, 1, 5) == 'error' then
    failed[session] = true
    expires[key] = nil
    return outcome
  end
  for _, field in ipairs({'streamKey', key, 'epoch', epoch}) do fields[#fields + 1] = field end
  -- A stream that only this row names comes first: where that fails, nobody is given the event.
  local added = other ~= '' and redis.pcall('XADD', other, '*', unpack(fields))
  if is_error(added) then
    failed[session] = true
    return reason(added)
  end
  added = redis.pcall('XADD', KEYS[2], '*', unpack(fields))
  if is_error(added) then
    stopped = true
    return (string.gsub(reason(added), '^error', 'stopped'))
  end
  moved[session] = shown
  return outcome
end

-- Whatever a row makes the script stumble over is the row's own.
local function append_alone(key, at)
  local went_well, answer = pcall(append, key, at)
  if went_well then return answer end
  failed[ARGV[at + 2]] = true
  return reason(type(answer) == 'table' and answer or {err = tostring(answer)})
end

local outcomes = {}
for row = 1, #KEYS - 2 do outcomes[row] = append_alone(KEYS[row + 2], 5 + (row - 1) * 10) end
for key in pairs(expires) do redis.call('EXPIRE', key, expiry) end
for session, newest in pairs(moved) do redis.pcall('PUBLISH', ARGV[4] .. session, newest) end
return outcomes
