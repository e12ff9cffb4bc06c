package cluster

import (
	"encoding/binary"
	"encoding/json"
	"errors"

	"crier/io/hub"
)

// letterFormat begins every letter, behind its size.
const letterFormat = 1

// errLetter says that a letter was written by another program, or is damaged.
var errLetter = errors.New("a stored message cannot be read")

// encodeLetter returns what is kept of a message: the bytes of event, arguments and attachments, 4 bytes, big-endian;
// letterFormat; 1 with ShowID, else 0; ID and Event, each behind its length; Args and Attachments, each behind their number
// and every one behind its length. Lengths and numbers are uvarints.
func encodeLetter(m *hub.Message) []byte {
	size := len(m.Event)
	for _, a := range m.Args {
		size += len(a)
	}
	for _, a := range m.Attachments {
		size += len(a)
	}
	b := make([]byte, 4, 4+32+len(m.ID)+size+binary.MaxVarintLen32*(len(m.Args)+len(m.Attachments)))
	binary.BigEndian.PutUint32(b, uint32(size))
	b = append(b, letterFormat, 0)
	if m.ShowID {
		b[len(b)-1] = 1
	}
	b = appendText(b, m.ID)
	b = appendText(b, m.Event)
	b = binary.AppendUvarint(b, uint64(len(m.Args)))
	for _, a := range m.Args {
		b = appendText(b, a)
	}
	b = binary.AppendUvarint(b, uint64(len(m.Attachments)))
	for _, a := range m.Attachments {
		b = appendText(b, a)
	}
	return b
}

// decodeLetter undoes encodeLetter. The message shares the memory of b.
func decodeLetter(b []byte) (*hub.Message, error) {
	if len(b) < 6 || b[4] != letterFormat {
		return nil, errLetter
	}
	d := decoder{rest: b[6:]}
	m := &hub.Message{ShowID: b[5] == 1, ID: d.text(), Event: d.text()}
	for range d.count() {
		m.Args = append(m.Args, json.RawMessage(d.bytes()))
	}
	for range d.count() {
		m.Attachments = append(m.Attachments, d.bytes())
	}
	if d.bad || len(d.rest) > 0 {
		return nil, errLetter
	}
	return m, nil
}
