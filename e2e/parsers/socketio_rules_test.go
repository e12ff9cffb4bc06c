package parsers

import (
	"regexp"
	"strings"

	"crier/io/socketio"
)

// socketRules are the differences from the official decoders of Socket.IO that are meant.
var socketRules = []rule[socketCase]{
	{
		name:   "blank type",
		reason: "JavaScript takes nothing and white space for the number 0, a CONNECT; clients write the digit",
		covers: func(c socketCase) bool {
			return c.weRefuse("unknown packet type") && blankType.MatchString(c.input)
		},
	},
	{
		name:   "attachment count that only JavaScript calls a number",
		reason: "Node takes nothing, blanks, 1.0, 1e0, 0x1 for counts; clients write digits",
		covers: func(c socketCase) bool {
			return c.weRefuse("number of attachments") && jsNumber.MatchString(c.count()) && !digits.MatchString(c.count())
		},
	},
	{
		name:   "more attachments than allowed",
		reason: "the 2.3 parser has no limit; ours has the one of later parsers, for memory's sake",
		covers: func(c socketCase) bool {
			return c.parser == parser23 && c.weRefuse("number of attachments") && digits.MatchString(c.count())
		},
	},
	{
		name:   "no attachments of a binary packet",
		reason: "2.x clients send it for objects whose toJSON gives bytes; the parsers of their time deliver it at once, as ours does, later ones refuse it",
		covers: func(c socketCase) bool {
			return c.theyRefuse() && (c.parser == parser34 || c.parser == parser42) && c.ours.Attachments == 0 &&
				(c.ours.Type == socketio.PacketBinaryEvent || c.ours.Type == socketio.PacketBinaryAck)
		},
	},
	{
		name:   "white space in the acknowledgement id",
		reason: "JavaScript takes a blank for the number 0, and so for a digit; for ours it is the blank that JSON may begin with",
		covers: func(c socketCase) bool {
			return (c.what == idDiffers || c.weRefuse("payload is not JSON", "wrong kind")) && blankInID.MatchString(c.input)
		},
	},
	{
		name:   "acknowledgement id beyond 2^53",
		reason: "JavaScript rounds it, and the answer would go to another call; clients count from 0",
		covers: func(c socketCase) bool {
			return c.weRefuse("id too large") && largeID.MatchString(c.input)
		},
	},
	{
		name:   "event without a payload",
		reason: "Node looks at the payload only if there is one, and its server then emits an event without a name",
		covers: func(c socketCase) bool {
			return c.weRefuse("wrong kind") && c.theirs.Data == nil &&
				(c.theirs.Type == socketio.PacketEvent || c.theirs.Type == socketio.PacketBinaryEvent)
		},
	},
	{
		name:   "payload that the 2.3 parser does not look at",
		reason: "the 2.3 parser takes any JSON with any type; ours has the checks of later parsers",
		covers: func(c socketCase) bool {
			return c.parser == parser23 && c.weRefuse("wrong kind", "without a name", "missing element") && c.theirs.Data != nil
		},
	},
	{
		name:   "array or null where an object is due",
		reason: "the 3.x parsers go by typeof, which says object for them too; clients of their time connect without a payload",
		covers: func(c socketCase) bool {
			return (c.parser == parser33 || c.parser == parser34) && c.weRefuse("wrong kind") && c.theirs.Data != nil &&
				(*c.theirs.Data == "null" || strings.HasPrefix(*c.theirs.Data, "[")) &&
				(c.theirs.Type == socketio.PacketConnect || c.theirs.Type == socketio.PacketConnectError)
		},
	},
	{
		name:   "reserved event name",
		reason: "only the 4.2 parser refuses the names that server and client emit themselves; ours does so with clients of any age",
		covers: func(c socketCase) bool {
			return c.parser != parser42 && c.weRefuse("reserved event name") && reserved.MatchString(*c.theirs.Data)
		},
	},
	{
		name:   "payload deeper than 10,000",
		reason: "Go's JSON has this limit, JavaScript's has none; it protects the stack",
		covers: func(c socketCase) bool {
			return c.weRefuse("not JSON") && strings.Count(c.input, "[")+strings.Count(c.input, "{") > 10000
		},
	},
	{
		name:   "placeholders that name no attachment",
		reason: "parsers refuse the packet once its attachments are there, and so does our server; the decoder compared here sees the text alone",
		covers: func(c socketCase) bool {
			return c.what == notAssembly && c.parser != parser23 && strings.Contains(c.theirs.Assembly, "illegal attachments") &&
				!placeholdersFit(c.ours.Data, c.ours.Attachments)
		},
	},
}

// jsBlank is what JavaScript takes for white space.
const jsBlank = `[\s\v\p{Z}\x{feff}]`

var (
	blankType = regexp.MustCompile(`^(` + jsBlank + `|$)`)
	digits    = regexp.MustCompile(`^[0-9]+$`)
	// What precedes an id: the type, a number of attachments, a namespace.
	blankInID = regexp.MustCompile(`^([0-4]|[56][^-]*-)(/[^,]*,)?\d*` + jsBlank)
	largeID   = regexp.MustCompile(`^([0-4]|[56][^-]*-)(/[^,]*,)?\d{16,}`)
	reserved  = regexp.MustCompile(`^\["(connect|connect_error|disconnect|disconnecting|newListener|removeListener)"`)
)

// weRefuse says whether ours alone refuses the input, and with an error that has one of the texts.
func (c socketCase) weRefuse(texts ...string) bool {
	if c.what != acceptance || c.err == nil {
		return false
	}
	for _, text := range texts {
		if strings.Contains(c.err.Error(), text) {
			return true
		}
	}
	return false
}

func (c socketCase) theyRefuse() bool { return c.what == acceptance && c.err == nil }

// count is the number of attachments as it is written.
func (c socketCase) count() string {
	count, _, _ := strings.Cut(c.input[1:], "-")
	if strings.HasPrefix(c.input[1:], "-") { // perhaps a sign
		return ""
	}
	return count
}
