package rfc6455

// Cases are those of all chapters but the handshake's.
func Cases() []Case {
	var all []Case
	for _, chapter := range [][]Case{frames(), reserved(), masks(), fragments(), controls(), closings(), texts()} {
		all = append(all, chapter...)
	}
	return all
}

// opNames are the kinds of messages.
var opNames = map[byte]string{opText: "text", opBinary: "binary"}

// both are the opcodes of messages, in order.
var both = []byte{opText, opBinary}
