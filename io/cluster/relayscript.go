package cluster

import "strings"

// batchArguments are those of relayScript.
func (r *Relay) batchArguments(batch []*parcel) []any {
	args := []any{r.node.Tag(), r.batch, idsKeep.Milliseconds()}
	for _, one := range batch {
		own := 0
		if one.own.Waiting {
			own = 1
		}
		n := len(one.users)
		if one.users == nil {
			n = -1
		}
		token, mid, _ := strings.Cut(one.push.Claim, " ")
		args = append(args, one.frame, own, token, mid, n)
		for _, uid := range one.users {
			args = append(args, uid)
		}
	}
	return args
}

// relayScript: the node's tag, the number of a batch, and for how long ids are known in milliseconds; then, for each push, the frame, 1 if the node's own stream is to have it
// too, the token and the mid if the push has an id that is claimed, and either -1, for the common stream, or the number of users and the users. A batch that has been added is not added again, as
// when its answer was lost. It answers the last position, the nodes whose lease has not ended, and for each push, unless it is for the common
// stream, the nodes that get it, and how many connections each user has on other nodes than this one.
//
// An id that somebody else has claimed since then is his: such a push is not added, and the answer for it is 1. A claim that nobody has, since
// Redis has lost it, is made again.
//
// P:seq has the last batch of each node, P:u:<uid> the directory's entry of a user: n:<node> is "<connections>,<1 if there are some
// that can be recovered>,<epoch>"; l:<node> the position up to which a node that he has left still gets what is for him.
var relayScript = nodeScript("relay", `
	local batch = ARGV[4] .. ' ' .. ARGV[5]
	local again = redis.call('HGET', P .. ':seq', NODE) == batch
	if not again then redis.call('HSET', P .. ':seq', NODE, batch) end
	local answer = {'0', redis.call('ZRANGEBYSCORE', P .. ':nodes', '(' .. text(now()), '+inf')}
	local i = 7
	while i <= #ARGV do
		local frame, own, token, mid, n = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], tonumber(ARGV[i + 4])
		i = i + 5
		local at = position()
		local id, users, sum = P .. ':id:' .. mid, 0, 0
		local holder = token ~= '' and redis.call('HGET', id, 't')
		if holder and holder ~= token then
			answer[#answer + 1] = 1
			i = i + math.max(n, 0)
			token = ''
		elseif n < 0 then
			if not again then append('all', frame, at) end
			answer[#answer + 1] = 0
		else
			local to, nodes, counts = {}, {}, {}
			if own == '1' then to[NODE] = true end
			for u = 1, n do
				local count, entry = 0, redis.call('HGETALL', P .. ':u:' .. ARGV[i])
				i = i + 1
				for f = 1, #entry, 2 do
					local kind, node, value = string.sub(entry[f], 1, 2), string.sub(entry[f], 3), entry[f + 1]
					if kind == 'l:' then
						if tonumber(value) >= at then to[node] = true end
					elseif kind == 'n:' and node ~= NODE then
						local connections, trails = string.match(value, '^(%d+),(%d)')
						count = count + tonumber(connections)
						if connections ~= '0' or trails == '1' then to[node] = true end
					end
				end
				counts[u] = count
				if count > 0 then users, sum = users + 1, sum + count end
			end
			for node in pairs(to) do
				nodes[#nodes + 1] = node
				if not again then append('s:' .. node, frame, at) end
			end
			answer[#answer + 1] = {nodes, counts}
		end
		if token ~= '' and not again then
			redis.call('HSET', id, 'm', users .. ' ' .. sum)
			if not holder then
				redis.call('HSET', id, 'h', NODE .. ' ' .. EPOCH, 't', token)
				redis.call('PEXPIRE', id, ARGV[6])
			end
		end
	end
	answer[1] = text(last)
	return answer
`)
