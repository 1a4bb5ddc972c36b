-- Keeps a conversation, unless a later one is kept: KEYS[1] the session; ARGV epoch, turn, data, time to live in ms.
local epoch, turn = unpack(redis.call('HMGET', KEYS[1], 'epoch', 'turn'))
if epoch and (tonumber(epoch) > tonumber(ARGV[1]) or tonumber(epoch) == tonumber(ARGV[1]) and tonumber(turn) > tonumber(ARGV[2])) then
  return 0
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'turn', ARGV[2], 'data', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
