package cluster

import (
	"context"
	"errors"
	"strings"

	"github.com/gomodule/redigo/redis"
)

// ErrFenced says that the node's lease had ended and that its users have been taken from it: what it says is not true any
// more until it has registered again, which it does at once.
var ErrFenced = errors.New("the other servers have given this one up; it comes back")

// library is what stands around the scripts of nodes. KEYS[1] is the prefix of all keys; ARGV[1] to ARGV[3] are the node's name
// and epoch, and how many entries a stream may have. The script's own arguments begin at ARGV[4].
//
//	P, NODE                the prefix, and the node that calls
//	now()                  the time of Redis in microseconds since 1970
//	text(n)                a whole number as digits
//	position()             the next position: greater than every other, and not before the time
//	append(stream, m, at)  adds an entry, the frame m, to P:<stream>, at that position, or else at one of its own, which it returns;
//	                       what is added to several streams at one position is the same for all who read them
//
// A node whose epoch is not that of its registration gets the error FENCED, and nothing is done.
//
// P:pos is the last position. P:count has, for each stream, how many entries were ever added; each entry has its number in that
// order, so that a reader sees when one is missing.
const library = `
local P, NODE, EPOCH, MAX = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local time, last
local function text(n) return string.format('%.0f', n) end
local function now()
	if not time then
		local t = redis.call('TIME')
		time = t[1] * 1000000 + t[2]
	end
	return time
end
local function position()
	if not last then last = tonumber(redis.call('GET', P .. ':pos') or '0') end
	last = math.max(last + 1, now())
	return last
end
local function append(stream, m, at)
	at = at or position()
	local n = redis.call('HINCRBY', P .. ':count', stream, 1)
	redis.call('XADD', P .. ':' .. stream, 'MAXLEN', '~', MAX, text(at) .. '-0', 'm', m, 'n', n)
	return at
end
local function main()
`

const libraryEnd = `
end
if EPOCH ~= '-' and redis.call('HGET', P .. ':n:' .. NODE, 'epoch') ~= EPOCH then
	return redis.error_reply('FENCED the node has been given up')
end
local ok, result = pcall(main)
if last then redis.call('SET', P .. ':pos', text(last)) end
if not ok then error(result) end
return result
`

// nodeScript returns a script of nodes, for [Node.Run]: the body of a Lua function, within the library.
func nodeScript(name, body string) *Script { return NewScript(name, library+body+libraryEnd) }

// noEpoch is said by a node that does not have to be registered for what it does.
const noEpoch = "-"

// appendScript adds entries: pairs of the stream and the frame. It answers the last position.
var appendScript = nodeScript("append", `
	local at
	for i = 4, #ARGV, 2 do at = append(ARGV[i], ARGV[i + 1]) end
	return text(at)
`)

// fenced makes ErrFenced of what Redis says to a node that has been given up.
func fenced(err error) error {
	var said redis.Error
	if errors.As(err, &said) && strings.HasPrefix(string(said), "FENCED") {
		return ErrFenced
	}
	return err
}

// Run runs a script of nodes with its own arguments, as [Client.Do] does. Its error is ErrFenced if the node has been given up.
func (n *Node) Run(ctx context.Context, s *Script, args ...any) (any, error) {
	reply, err := n.client.Do(ctx, s, n.keys, n.arguments(args)...)
	return reply, n.noticed(err)
}

// Go is Run for somebody who does not wait; see [Client.Go].
func (n *Node) Go(done func(reply any, err error), s *Script, args ...any) {
	n.client.Go(func(reply any, err error) { done(reply, n.noticed(err)) }, s, n.keys, n.arguments(args)...)
}

// noticed has the node register again if it has been given up.
func (n *Node) noticed(err error) error {
	if err = fenced(err); errors.Is(err, ErrFenced) {
		n.signal()
	}
	return err
}
