-- Returns the session's owner while its lease is live, else assigns the session to the first candidate that is ready, and
-- raises the epoch.
--
-- KEYS[1] the session; KEYS[2..] the leases of the pods named in ARGV[5..], in the same order
-- ARGV[1] milliseconds the record lives on
-- ARGV[2] a pod to avoid, or ''
-- ARGV[3] an epoch known from elsewhere: a record below it is behind
-- ARGV[4] how many of the names are candidates; they come first
-- Reply: {outcome, pod, address, incarnation, epoch}; outcome is
--   kept      the owner was live
--   assigned  a new owner
--   unknown   the owner is not among the names: ask again with its lease in KEYS
--   none      no candidate is ready
local record = redis.call('HMGET', KEYS[1], 'pod', 'address', 'incarnation', 'epoch')
local owner = record[1] or ''
local address = record[2] or ''
local incarnation = record[3] or ''
local epoch = tonumber(record[4] or '0')
local ttl = ARGV[1]
local avoid = ARGV[2]
local known = tonumber(ARGV[3])
local candidates = tonumber(ARGV[4])

local function name(i) return ARGV[4 + i] end
local function lease(i) return KEYS[1 + i] end

local function reply(outcome)
  return {outcome, owner, address, incarnation, string.format('%.0f', epoch)}
end

local function store()
  redis.call('HSET', KEYS[1], 'pod', owner, 'address', address, 'incarnation', incarnation,
    'epoch', string.format('%.0f', epoch))
  redis.call('PEXPIRE', KEYS[1], ttl)
end

local live = false
if owner ~= '' then
  local at = nil
  for i = 1, #KEYS - 1 do
    if name(i) == owner then at = i end
  end
  if not at then return reply('unknown') end
  -- Names repeat: the same name with another incarnation is another pod.
  live = redis.call('HGET', lease(at), 'incarnation') == incarnation
end

local function keep()
  if epoch < known then epoch = known + 1 end
  store()
  return reply('kept')
end

local function assign(wanted)
  for i = 1, candidates do
    if wanted(name(i)) then
      local pod = redis.call('HMGET', lease(i), 'incarnation', 'address', 'state')
      if pod[1] and pod[3] == 'ready' then
        owner, incarnation, address = name(i), pod[1], pod[2]
        epoch = math.max(epoch, known) + 1
        store()
        return true
      end
    end
  end
  return false
end

if live and owner ~= avoid then return keep() end
if assign(function(pod) return pod ~= avoid end) then return reply('assigned') end
-- The pod to avoid is better than none.
if live then return keep() end
if assign(function(pod) return pod == avoid end) then return reply('assigned') end
return reply('none')
