-- Makes sure that there is an epoch. It ends with the process (run id), with the history of the data (a replica that is
-- promoted begins another, also one that was the primary before), with the data and with the global stream. Nothing
-- else creates that stream: whoever did would hide that what was on it is gone.
-- KEYS: 1 the sentinel, 2 the global stream. ARGV: 1 the consumer group, which reads a new stream from its first entry,
-- 2 something random, 3 the last epoch that Postgres knows ('' for none), 4 the caller's database. Returns the sentinel
-- that holds, `<number>.<random>.<database>:<run id>:<history>`, of which the first part is the epoch's name; names sort
-- by age. Another database's is returned as it was found, whether or not it holds: nothing is written then.
-- Workers that know of no databases pass none and begin epochs without one, which the next that knows ends; the others
-- then go on in that worker's.
local function asked(section, field) return string.match(redis.call('INFO', section), field .. ':(%x+)') end
local function database_of(name) return string.match(name, '^%d+%.[^.]*%.(.*)$') or '' end
local function number(name) return tonumber(string.match(name, '^(%d+)%.')) or 0 end

local here = ':' .. asked('server', 'run_id') .. ':' .. asked('replication', 'master_replid')
local found, known, database = redis.call('GET', KEYS[1]) or '', ARGV[3], ARGV[4] or ''
local name = string.match(found, '^[^:]*')
local owner = database_of(name)
if owner ~= '' and database ~= '' and owner ~= database then return found end

local has_stream = redis.call('EXISTS', KEYS[2]) == 1
-- Redis went back to an epoch that was settled and left already: a server that was away for a while.
local came_back = name < known

if not has_stream or found ~= name .. here or came_back or owner ~= database and database ~= '' then
  local next_number = math.max(number(name), number(known)) + 1
  local begun = string.format('%08d.%s', next_number, ARGV[2])
  if database ~= '' then begun = begun .. '.' .. database end
  redis.call('SET', KEYS[1], begun .. here)
  if not has_stream then redis.call('XGROUP', 'CREATE', KEYS[2], ARGV[1], '0', 'MKSTREAM') end
end
return redis.call('GET', KEYS[1])
