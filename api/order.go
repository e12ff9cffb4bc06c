package api

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"crier/io/hub"
	"crier/io/rawjson"
)

const (
	// maxNames is how many users, rooms and connections one push may name, exceptions included.
	maxNames = 10_000
	// maxExcept is how deep exceptions may be nested.
	maxExcept = 8
)

// order is one push, as its JSON says it.
type order struct {
	id       string // "" if the caller gave none
	claim    string // of the id, among several servers; "" if there is none
	to       hub.Audience
	parcel   *parcel
	dryRun   bool
	ack      time.Duration // how long to wait for acknowledgements; 0: none are asked for
	keep     int           // bytes of them that the result has
	turns    *turns        // nil: it is pushed by itself
	store    bool          // for users who are offline, and until it has arrived
	unstored bool          // it says that it is not to be stored
	ttl      time.Duration // for how long; 0: it is not stored
	receipt  bool
	given    uint32 // the fields that there are, a bit each
	names    int    // in to
	audience bool   // to says anything
	free     bool   // nobody has anything of the parcel any more
}

// parcel is what the hub gets of a push: in one piece, since that is what most pushes allocate.
type parcel struct {
	message hub.Message
	args    [1]json.RawMessage
	user    [1]string
	room    [128]byte // for the arguments, if they fit
	more    []byte    // for those that do not
}

// newParcel returns a parcel with a message in it that says nothing yet.
func (s *Server) newParcel() *parcel {
	p, _ := s.parcels.Get().(*parcel)
	p.message = hub.Message{Event: legacyEvent, ShowID: s.showIDs}
	return p
}

// reuse takes back the parcel of o, if nobody has kept anything of the message in it.
func (s *Server) reuse(o *order) {
	if o.free && cap(o.parcel.more) <= maxScratch {
		s.parcels.Put(o.parcel)
	}
}

// The bits of order.given, and how many fields a push can have.
const (
	hasID = 1 << iota
	hasTo
	hasEvent
	hasData
	hasArgs
	hasVolatile
	hasDryRun
	hasAck
	hasTTL
	hasStore
	hasReceipt
	maxFields = iota
)

// The same of an audience.
const (
	hasUsers = 1 << iota
	hasRooms
	hasConnections
	hasAll
	hasExcept
)

// parse reads one push into o, which is empty. It keeps nothing of line.
func (s *Server) parse(line []byte, o *order) (bad *fault) {
	var room [maxFields + 1]rawjson.Member // if there are more, two are the same or one is unknown
	list, ok := rawjson.AppendMembers(room[:0], line)
	switch {
	case ok:
	case rawjson.Valid(line):
		return invalid("The push", "has to be a JSON object")
	default:
		return &fault{code: codeBadJSON, detail: "The push is not one valid JSON object in UTF-8."}
	}
	o.parcel = s.newParcel()
	var data, args []byte
	event := false
	for _, member := range list {
		field, value, bit := unquoted(member.Name), member.Value, uint32(0)
		null := string(value) == "null"
		switch string(field) {
		case "id":
			bit = hasID
			if !null {
				o.id, bad = stringValue(value, "id")
			}
		case "to":
			bit = hasTo
			if !null {
				bad = o.parseAudience(&o.to, value, "to", 0)
			}
		case "event":
			bit = hasEvent
			if !null {
				event = true
				o.parcel.message.Event, bad = eventName(value)
			}
		case "data":
			bit, data = hasData, value
		case "args":
			bit = hasArgs
			if !null {
				args = value
			}
		case "volatile":
			bit = hasVolatile
			o.parcel.message.Volatile, bad = boolValue(value, "volatile")
		case "dry_run":
			bit = hasDryRun
			o.dryRun, bad = boolValue(value, "dry_run")
		case "ack":
			bit = hasAck
			if !null {
				o.ack, bad = ackTime(value)
			}
		case "ttl":
			bit = hasTTL
			if !null {
				o.ttl, bad = ttlOf(value)
			}
		case "store":
			bit = hasStore
			o.store, bad = boolValue(value, "store")
			o.unstored = !o.store && !null
		case "receipt":
			bit = hasReceipt
			o.receipt, bad = boolValue(value, "receipt")
		default:
			bad = unknownField("", field)
		}
		if bad == nil && o.given&bit != 0 {
			bad = invalid(string(field), "is there twice")
		}
		if bad != nil {
			return bad
		}
		o.given |= bit
	}
	if bad := o.check(event, args != nil); bad != nil {
		return bad
	}
	if bad := s.checkKeep(o); bad != nil {
		return bad
	}
	if o.receipt && s.receipts == nil {
		return receiptFault(errNoReceipts)
	}
	return s.pack(o, data, args)
}

// check finds what is missing, or too much. event and args say that there is one, and that there are some.
func (o *order) check(event, args bool) *fault {
	switch {
	case !o.audience:
		return &fault{code: codeMissingField, detail: "to is missing, or names nothing: give it users, rooms, connections or all."}
	case o.given&hasData != 0 && args:
		return invalid("args", "cannot be there beside data")
	case o.given&hasData == 0 && !event && !args:
		return &fault{code: codeMissingField, detail: "data is missing: give it, or args, or an event without arguments."}
	case o.given&hasID != 0 && o.id != "" && hub.CheckUID(o.id) != nil:
		return invalid("id", "has to be 1 to 255 bytes without control characters")
	}
	return nil
}

// unknownField returns the fault of a field that no push has.
func unknownField(in string, field []byte) *fault {
	return &fault{code: codeUnknownField, detail: fmt.Sprintf("There is no field %s%.64q: mind the spelling.", in, field)}
}

// stringValue returns a value that has to be a string, and not an empty one.
func stringValue(value []byte, field string) (string, *fault) {
	if value[0] != '"' || len(value) == 2 {
		return "", invalid(field, "has to be a string that is not empty")
	}
	return string(unquoted(value)), nil
}

// boolValue returns a value that has to be true, false or null.
func boolValue(value []byte, field string) (bool, *fault) {
	switch string(value) {
	case "true":
		return true, nil
	case "false", "null":
		return false, nil
	}
	return false, invalid(field, "has to be true or false")
}

// eventName returns the name of an event.
func eventName(value []byte) (string, *fault) {
	if string(value) == `"`+legacyEvent+`"` {
		return legacyEvent, nil
	}
	name, bad := stringValue(value, "event")
	if bad == nil && reserved(name) {
		bad = &fault{code: codeReservedEvent, detail: "event is a name that Socket.IO clients keep for themselves: choose another."}
	}
	return name, bad
}

// reserved says whether Socket.IO clients keep an event's name for themselves: they would take it for a broken packet
// and disconnect.
func reserved(event string) bool {
	switch event {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return true
	}
	return false
}

// parseAudience reads an audience into a; field is what errors call it.
func (o *order) parseAudience(a *hub.Audience, value []byte, field string, depth int) (bad *fault) {
	if value[0] != '{' {
		return invalid(field, "has to be an object with users, rooms, connections, all or except")
	}
	if depth > maxExcept {
		return invalid(field, "is an exception nested more than "+strconv.Itoa(maxExcept)+" deep")
	}
	var given uint32
	for token, value := range members(value) {
		name, bit := unquoted(token), uint32(0)
		null := string(value) == "null"
		switch string(name) {
		case "users":
			bit = hasUsers
			a.Users, bad = o.nameList(value, field, ".users", depth == 0)
		case "rooms":
			bit = hasRooms
			a.Rooms, bad = o.nameList(value, field, ".rooms", false)
		case "connections":
			bit = hasConnections
			a.Connections, bad = o.nameList(value, field, ".connections", false)
		case "all":
			bit = hasAll
			a.All, bad = boolValue(value, field+".all")
		case "except":
			bit = hasExcept
			if !null {
				a.Except = new(hub.Audience)
				bad = o.parseAudience(a.Except, value, field+".except", depth+1)
			}
		default:
			bad = unknownField(field+".", name)
		}
		if bad == nil && given&bit != 0 {
			bad = invalid(field+"."+string(name), "is there twice")
		}
		if bad != nil {
			return bad
		}
		given |= bit
		o.audience = o.audience || depth == 0 && bit != hasExcept && !null
	}
	return nil
}

// nameList reads an array of names: strings or, of users, integers as well, which stand for their digits. The error
// calls it field+list. first says that these are the users that the parcel has room for.
func (o *order) nameList(value []byte, field, list string, first bool) ([]string, *fault) {
	if string(value) == "null" {
		return nil, nil
	}
	if value[0] != '[' {
		return nil, invalid(field+list, "has to be an array")
	}
	var names []string
	if first {
		names = o.parcel.user[:0]
	}
	for element := range elements(value) {
		switch {
		case o.names == maxNames:
			return nil, &fault{code: codeTooMany, detail: "to has more than " + strconv.Itoa(maxNames) + " names: use rooms, or several pushes."}
		case element[0] == '"':
			names = append(names, string(unquoted(element)))
		case list == ".users" && jsonUser(element).invalid == "":
			names = append(names, string(element))
		case list == ".users":
			return nil, invalid(fmt.Sprintf("%s%s[%d]", field, list, len(names)), "has to be a string or an integer")
		default:
			return nil, invalid(fmt.Sprintf("%s%s[%d]", field, list, len(names)), "has to be a string")
		}
		o.names++
	}
	return names, nil
}

// pack gives o its arguments, copied into memory of their own, since connections keep them.
func (s *Server) pack(o *order, data, args []byte) *fault {
	p := o.parcel
	p.message.Args = p.args[:0]
	var l lifter
	switch {
	case args != nil && args[0] != '[':
		return invalid("args", "has to be an array")
	case args != nil:
		if bad := l.liftAll(&p.message, p.buffer(len(args)), args); bad != nil {
			return bad
		}
	case data != nil:
		lifted, bad := l.lift(p.buffer(len(data)), data, "data")
		if bad != nil {
			return bad
		}
		p.message.Args = append(p.message.Args, lifted)
	}
	if bad := l.check(); bad != nil {
		return bad
	}
	p.message.Attachments = l.attachments
	if size := messageSize(&p.message); s.maxContent > 0 && size > s.maxContent {
		return &fault{
			code: codeMessageTooLarge,
			detail: fmt.Sprintf("The message has %d bytes, and at most the %d of socketio.max_payload can be sent: send less, or raise that.",
				size, s.maxContent),
		}
	}
	return nil
}

// buffer returns memory for arguments of n bytes.
func (p *parcel) buffer(n int) []byte {
	if n <= len(p.room) {
		return p.room[:0]
	}
	if n > cap(p.more) {
		p.more = make([]byte, 0, n)
	}
	return p.more[:0]
}

// liftAll gives m the elements of an array as its arguments, in the memory of buf.
func (l *lifter) liftAll(m *hub.Message, buf, args []byte) *fault {
	for element := range elements(args) {
		from := len(buf)
		var bad *fault
		if buf, bad = l.lift(buf, element, "args"); bad != nil {
			return bad
		}
		m.Args = append(m.Args, buf[from:len(buf):len(buf)]) // stays as it is when buf moves to larger memory
	}
	return nil
}

// messageSize returns the bytes of a message: its event, arguments and attachments.
func messageSize(m *hub.Message) int64 {
	size := len(m.Event)
	for _, a := range m.Args {
		size += len(a)
	}
	for _, a := range m.Attachments {
		size += len(a)
	}
	return int64(size)
}

// blank reports whether line has nothing but white space of JSON. Other spaces are a line that is no push, and is told so.
func blank(line []byte) bool { return len(trimSpace(line)) == 0 }
