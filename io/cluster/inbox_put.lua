-- put keeps messages, one after the other, and gives them to the nodes that want to know of their users.
-- ARGV[5] and [6] are the bounds of one user's messages and of all bytes; [7] how many messages follow. Each of them is: mid, nonce,
-- time to live in ms, what it counts in bytes, 1 if it is for every node, 1 if it has to be known which get it, how many connections it
-- is for that are none of its users', the head of the entry, the letter, the number of users, and these.
-- For each it returns the place, 1 if the message is known, for how many users it is kept, the users and connections that
-- are online, 1 if this node gets the entry, 2 if that is not known any more; and the nodes that get it, if that has to be known.

local perUser, most = tonumber(ARGV[5]), tonumber(ARGV[6])
local bytes = tonumber(redis.call('HGET', K .. 'tot', 'by') or 0)

-- online looks a user up in the directory: it returns how many connections he has, and adds the nodes that want to know of him.
local function online(uid, at, nodes)
  local connections, entry = 0, redis.call('HGETALL', K .. 'u:' .. uid)
  for i = 1, #entry, 2 do
    local node, what = string.sub(entry[i], 3), string.sub(entry[i], 1, 2)
    if what == 'n:' then
      local c, trails = string.match(entry[i + 1], '^(%d+),(%d)')
      connections = connections + c
      if c ~= '0' or trails == '1' then nodes[node] = true end
    elseif what == 'l:' and tonumber(entry[i + 1]) >= at then
      nodes[node] = true
    end
  end
  return connections
end

-- keep keeps a message for the users that are from ARGV[first] to ARGV[until_].
local function keep(mid, place, expires, letter, size, first, until_)
  redis.call('SET', K .. 'b:' .. mid, letter, 'PXAT', expires)
  redis.call('ZADD', K .. 'l', place, mid)
  redis.call('ZADD', K .. 'x', expires, mid)
  tot.le, tot.wa, tot.by = tot.le + 1, tot.wa + until_ - first + 1, tot.by + size
  for i = first, until_ do
    local box = K .. 'i:' .. ARGV[i]
    redis.call('ZADD', box, place, mid)
    local over = redis.call('ZCARD', box) - perUser
    if over > 0 then
      for _, old in ipairs(redis.call('ZRANGE', box, 0, over - 1)) do settle(ARGV[i], old, '3') end
    end
  end
  while bytes + tot.by > most do
    local oldest = redis.call('ZRANGE', K .. 'l', 0, 0)[1]
    if oldest == nil or oldest == mid then break end
    finish(oldest, '3')
  end
end

-- list returns the nodes that get an entry, if asked: those of a set, or all.
local function list(nodes, everywhere, asked)
  local names = {}
  if not asked then return names end
  if everywhere then return redis.call('ZRANGEBYSCORE', K .. 'nodes', '(' .. text(now()), '+inf') end
  for node in pairs(nodes) do names[#names + 1] = node end
  return names
end

local answers, i = {}, 8
for _ = 1, tonumber(ARGV[7]) do
  local mid, nonce, ttl, size = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
  local everywhere, asked, connections = ARGV[i + 4] == '1', ARGV[i + 5] == '1', tonumber(ARGV[i + 6])
  local head, letter, n, nodes = ARGV[i + 7], ARGV[i + 8], tonumber(ARGV[i + 9]), {}
  local first = i + 10
  i = first + n
  local m = K .. 'm:' .. mid
  local known = redis.call('HMGET', m, 'no', 'pl', 'st', 'us', 'cn')
  if known[4] then
    local again = known[1] == nonce -- this call has been made before, and its answer was lost
    for j = first, asked and again and i - 1 or 0 do online(ARGV[j], tonumber(known[2]), nodes) end -- about those that got it
    answers[#answers + 1] = {
      known[2] or '0', again and 0 or 1, tonumber(known[3] or 0), tonumber(known[4]), tonumber(known[5]), 2, list(nodes, everywhere, asked)
    }
  else
    local at, matched = position(), 0
    local place, expires = text(at), text(ms + ttl)
    for j = first, i - 1 do
      local c = online(ARGV[j], at, nodes)
      if c > 0 then matched, connections = matched + 1, connections + c end
    end
    redis.call('HSET', m, 'no', nonce, 'pl', place, 'at', text(ms), 'ex', expires,
      'us', matched, 'cn', connections, 'st', n, 'wa', n, 'sz', size)
    index(mid, ttl + KEEP)
    for j = first, i - 1 do redis.call('HSET', m, ':' .. ARGV[j], '0') end
    if n == 0 then
      retire(mid, 0)
    else
      keep(mid, place, expires, letter, size, first, i - 1)
    end
    if everywhere then
      append('all', head .. letter, at)
    else
      for node in pairs(nodes) do append('s:' .. node, head .. letter, at) end
    end
    answers[#answers + 1] = {place, 0, n, matched, connections, (everywhere or nodes[NODE]) and 1 or 0, list(nodes, everywhere, asked)}
  end
end
account()
return answers
