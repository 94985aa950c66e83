-- Makes sure that there is an epoch. Without the global stream, what was on it is gone: another one begins.
-- KEYS: 1 the sentinel, 2 the global stream. ARGV: 1 a sentinel to begin with, 2 the consumer group, which reads the
-- new stream from its first entry. Returns the sentinel that holds.
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('SET', KEYS[1], ARGV[1])
  redis.call('XGROUP', 'CREATE', KEYS[2], ARGV[2], '0', 'MKSTREAM')
else
  redis.call('SET', KEYS[1], ARGV[1], 'NX')
end
return redis.call('GET', KEYS[1])
