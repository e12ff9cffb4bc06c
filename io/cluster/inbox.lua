-- The stored messages of a cluster: what the keys are is said in inbox.go. Each of the scripts that follow is behind this text, and
-- both within the library of script.go. ARGV[4] is how long a receipt is kept once nobody waits for its message, in ms.

local K, KEEP = P .. ':', tonumber(ARGV[4])
local ms = math.floor(now() / 1000)
local FATES = {['1'] = 'co', ['2'] = 'xp', ['3'] = 'ev'}

-- tot are changes of the figures, which account writes at the end of a script.
local tot = {le = 0, wa = 0, by = 0, re = 0, co = 0, xp = 0, ev = 0}
local function account()
  for name, n in pairs(tot) do
    if n ~= 0 then redis.call('HINCRBY', K .. 'tot', name, text(n)) end
  end
end

-- retire has a record kept for a while yet.
local function retire(mid, stored)
  local at = text(ms + KEEP)
  redis.call('HSET', K .. 'm:' .. mid, 're', at)
  redis.call('PEXPIREAT', K .. 'm:' .. mid, at)
  redis.call('RPUSH', K .. 'ret', at .. ':' .. (stored + 1) .. ':' .. mid)
  tot.re = tot.re + stored + 1
end

-- remove removes a letter that nobody waits for any more.
local function remove(mid)
  redis.call('DEL', K .. 'b:' .. mid)
  redis.call('ZREM', K .. 'l', mid)
  redis.call('ZREM', K .. 'x', mid)
end

-- settle takes a letter from a user; fate is what has become of it for him. It does nothing if he does not have it.
local function settle(uid, mid, fate)
  if redis.call('ZREM', K .. 'i:' .. uid, mid) == 0 then return end
  local m = K .. 'm:' .. mid
  if redis.call('EXISTS', m) == 0 then -- a Redis that evicts keys has thrown it away
    remove(mid)
    return
  end
  redis.call('HSET', m, ':' .. uid, fate)
  redis.call('HINCRBY', m, FATES[fate], 1)
  tot.wa, tot[FATES[fate]] = tot.wa - 1, tot[FATES[fate]] + 1
  if redis.call('HINCRBY', m, 'wa', -1) <= 0 then
    local of = redis.call('HMGET', m, 'st', 'sz')
    tot.le, tot.by = tot.le - 1, tot.by - of[2]
    remove(mid)
    retire(mid, tonumber(of[1]))
  end
end

-- finish settles a letter for all who still wait for it, and returns how many these were.
local function finish(mid, fate)
  local n, fields = 0, redis.call('HGETALL', K .. 'm:' .. mid)
  for i = 1, #fields, 2 do
    if fields[i + 1] == '0' and string.byte(fields[i]) == 58 then
      settle(string.sub(fields[i], 2), mid, fate)
      n = n + 1
    end
  end
  if n == 0 then remove(mid) end
  return n
end

-- index notes, for a while, that an id is known by this mid: by its own it is found without that.
local function index(mid, long)
  local scope, id = string.match(mid, '^([^:]*):(.*)$')
  if scope ~= '' then redis.call('SET', K .. 'ms:' .. id, mid, 'PX', text(long)) end
end
