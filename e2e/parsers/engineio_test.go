package parsers

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"crier/io/engineio"
)

// engineDecoder is one of Crier's decoders of Engine.IO and what it is tried with.
type engineDecoder struct {
	name     string // in parsers.mjs
	rev      engineio.Revision
	payload  bool
	binary   bool
	material material[[]packet]
}

var typeNames = []string{"open", "close", "ping", "pong", "message", "upgrade", "noop"}

// packet is a packet of Engine.IO as either side reads it.
type packet struct {
	kind   string // of typeNames; "" if the official parser found none
	binary bool
	data   string
	lone   bool // has surrogates on their own, which are U+FFFD in data
}

func (d *engineDecoder) parse(input []byte) (packets []packet, err error) {
	add := func(p engineio.Packet) error {
		packets = append(packets, packet{kind: typeNames[p.Type], binary: p.Binary, data: string(p.Data)})
		return nil
	}
	if d.payload {
		err = engineio.ParsePayload(d.rev, input, d.binary, add)
		return packets, err
	}
	var p engineio.Packet
	if d.binary {
		p, err = engineio.ParseBinary(d.rev, input)
	} else {
		p, err = engineio.ParseText(d.rev, input)
	}
	if err != nil {
		return nil, err
	}
	return packets, add(p)
}

// encode makes an input of random packets with Crier's encoders.
func (d *engineDecoder) encode(g generator) (string, []packet) {
	n := 1
	if d.payload {
		n += g.IntN(3)
	}
	framing := engineio.FramingV4
	switch {
	case d.rev == engineio.Revision3 && d.binary:
		framing = engineio.FramingV3Binary
	case d.rev == engineio.Revision3:
		framing = engineio.FramingV3Text
	}
	var wire []byte
	var want []packet
	for range n {
		p := engineio.Packet{Type: engineio.Message, Binary: d.binary, Data: g.bytes()}
		if d.payload || !d.binary {
			p.Binary = g.IntN(3) == 0
		}
		if d.rev == engineio.Revision3 || !p.Binary {
			p.Type = engineio.PacketType(g.IntN(int(engineio.Noop) + 1))
		}
		if !p.Binary {
			text := g.text()
			if d.rev == engineio.Revision4 {
				text = strings.ReplaceAll(text, string(rune(engineio.Separator)), "")
			}
			p.Data = []byte(text)
		}
		want = append(want, packet{kind: typeNames[p.Type], binary: p.Binary, data: string(p.Data)})
		if d.payload {
			wire = engineio.AppendPayload(wire, framing, p)
		} else {
			wire, _ = engineio.AppendFrame(wire, d.rev, !d.binary, p)
		}
	}
	return string(wire), want
}

// engineVerdict is what an official parser says; parsers.mjs describes it.
type engineVerdict struct {
	Error   string
	Packets []struct {
		Type   *string
		Binary bool
		Data   []byte
		Lone   bool
	}
	Repaired []byte
}

func (v engineVerdict) packets() []packet {
	packets := make([]packet, 0, len(v.Packets))
	for _, p := range v.Packets {
		kind := ""
		if p.Type != nil {
			kind = *p.Type
		}
		packets = append(packets, packet{kind: kind, binary: p.Binary, data: string(p.Data), lone: p.Lone})
	}
	return packets
}

// engineCase is one input and what both sides say.
type engineCase struct {
	decoder *engineDecoder
	parser  string // with its version
	input   []byte
	ours    []packet
	err     error
	theirs  []packet
	refused string
	at      int // the packet that differs; onlyOne if only one side accepts the input
}

const onlyOne = -1

// weRefuse says whether ours alone refuses the input, and with an error that has one of the texts.
func (c engineCase) weRefuse(texts ...string) bool {
	if c.at != onlyOne || c.err == nil {
		return false
	}
	for _, text := range texts {
		if strings.Contains(c.err.Error(), text) {
			return true
		}
	}
	return false
}

// compare returns what differs and no rule explains; nothing if all is well.
func (c engineCase) compare(rules *rulebook[engineCase], repaired []byte) string {
	c.at = onlyOne
	if repaired != nil {
		if c.err == nil {
			return "is not UTF-8"
		}
		if !rules.covers(c) {
			return "is refused"
		}
		c.input = repaired
		c.ours, c.err = c.decoder.parse(repaired)
	}
	switch {
	case c.err != nil && c.refused != "":
		return ""
	case c.err != nil || c.refused != "":
		if !rules.covers(c) {
			return "is accepted by one side only"
		}
		return ""
	case len(c.ours) != len(c.theirs):
		return "has a different number of packets"
	}
	for i := range c.ours {
		c.at = i
		if c.ours[i] != c.theirs[i] && !rules.covers(c) {
			return fmt.Sprintf("differs in packet %d", i)
		}
	}
	return ""
}

// encoded says what is wrong with what both sides read of an input that Crier's encoders made of want.
func (c engineCase) encoded(want []packet) string {
	for i, p := range want {
		ascii := strings.IndexFunc(p.data, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
		switch {
		case c.err != nil || len(c.ours) != len(want):
			return "does not come back"
		case p.binary || ascii:
			if c.ours[i] != p || c.refused == "" && c.theirs[i] != p {
				return fmt.Sprintf("does not come back in packet %d", i)
			}
		case c.parser != parserOne && (c.refused != "" || c.theirs[i] != p):
			return fmt.Sprintf("does not reach the client in packet %d", i)
		}
	}
	return ""
}

const (
	parserOne   = "engine.io-parser 1.3.2"
	parserTwo   = "engine.io-parser 2.2.1"
	parserThree = "engine.io 6.6.12 parser-v3"
	parserFive  = "engine.io-parser 5.2.3"
)

// TestEngineIO compares the decoders of Engine.IO.
func TestEngineIO(t *testing.T) {
	node := startOfficials(t)
	n, seed := setting(t, inputsVariable, 3000), uint64(setting(t, seedVariable, 1))
	rules := newRulebook(engineRules)
	for i, d := range engineDecoders() {
		t.Run(d.name, func(t *testing.T) {
			list := inputs(newGenerator(seed, uint64(i)), d.material, n)
			parsers := map[string]*tally{}
			for len(list) > 0 {
				part := list[:min(batch, len(list))]
				list = list[len(part):]
				compareEngine(t, node, d, part, rules, parsers)
			}
			official := []string{parserFive}
			if d.rev == engineio.Revision3 {
				official = []string{parserOne, parserTwo, parserThree}
			}
			checkTallies(t, parsers, n, d.binary && !d.payload, official)
		})
	}
	if !t.Failed() {
		rules.check(t)
	}
}

func compareEngine(t *testing.T, node *officials, d *engineDecoder, list []input[[]packet], rules *rulebook[engineCase], parsers map[string]*tally) {
	t.Helper()
	q := question{Decoder: d.name}
	for _, in := range list {
		q.Inputs = append(q.Inputs, in.bytes)
	}
	var answer map[string][]engineVerdict
	node.ask(t, q, &answer)
	for parser, verdicts := range answer {
		if len(verdicts) != len(list) {
			t.Fatalf("%s: %d verdicts on %d inputs", parser, len(verdicts), len(list))
		}
		if parsers[parser] == nil {
			parsers[parser] = &tally{}
		}
		for i, v := range verdicts {
			c := engineCase{decoder: d, parser: parser, input: list[i].bytes, theirs: v.packets(), refused: v.Error}
			c.ours, c.err = d.parse(c.input)
			what := c.compare(rules, v.Repaired)
			if what == "" && list[i].want != nil {
				what = c.encoded(*list[i].want)
			}
			parsers[parser].count(what, c.err == nil, c.refused == "")
			if what != "" {
				rules.report(t, "%q %s:\n  Crier: %+v, %v\n  %s: %+v, %s", c.input, what, c.ours, c.err, parser, c.theirs, c.refused)
			}
		}
	}
}

// engineDecoders lists all decoders with the inputs that are tried first: those of which somebody once thought.
func engineDecoders() []*engineDecoder {
	b64 := base64.StdEncoding.EncodeToString([]byte("\x00\x01\xfa\xfb\xfc\xff中"))
	texts := []string{
		"", "4", "4hello", "4中文é😀", "2probe", "3probe", "0{}", "5", "6", "7", "/", "a", " 4", "44", "1", "٤a", "B", "4\ufffd",
		"b", "b4", "b4AQIDBA==", "bAQIDBA==", "b4AQID", "bAQIDBAU=", "b" + b64, "b4" + b64, "b7AQ==", "b4AQ", "bAQ", "bA", "b4A", "bAQID\r\nBA==", "b4AQID\r\nBA==",
		"bAQ ID", "b4A.Q+I!D", "bA_-_", "b4A_-_", "b4A_+/", "bA_+/", "bAQ==AQ==", "b4AQ==AQ==", "bAQ=ID", "b4AQ=", "b4=", "b=", "b4AQI===", "b中文",
	}
	b64Tokens := []string{"b", "b4", "=", "==", "-_", "+/", " ", "\n", "\r", "AQID", "A", "/", "."}
	text := func(tokens ...string) []string {
		return append(append([]string{"0", "1", "2", "4", "6", "7", "é", "中", "😀", "{}", `["a"]`, "\u00c3\u00a9", "\x1e"}, b64Tokens...), tokens...)
	}
	decoders := []*engineDecoder{
		{name: "text3", rev: engineio.Revision3, material: material[[]packet]{known: texts, tokens: text(), text: true}},
		{name: "text4", rev: engineio.Revision4, material: material[[]packet]{known: texts, tokens: text(), text: true}},
		{name: "binary3", rev: engineio.Revision3, binary: true, material: material[[]packet]{
			known: []string{"", "\x04", "\x04a", "\x00", "\x06\x00", "\x07", "\x02probe", "4a", "\xff"}, tokens: []string{"\x04", "\x00", "\x07", "\xff", "4", "a"},
		}},
		{name: "binary4", rev: engineio.Revision4, binary: true, material: material[[]packet]{
			known: []string{"", "\x04a", "4a", "\xff"}, tokens: []string{"\x04", "4", "\xff"},
		}},
		{name: "payload-text3", rev: engineio.Revision3, payload: true, material: payloadText3(texts, text)},
		{name: "payload-binary3", rev: engineio.Revision3, payload: true, binary: true, material: payloadBinary3(texts)},
		{name: "payload4", rev: engineio.Revision4, payload: true, material: material[[]packet]{
			known: append([]string{
				"4a\x1e4b", "4中文é😀\x1ebAQID\x1e2probe", "\x1e4a", "4a\x1e", "4a\x1e\x1e4b", "4a\x1e9b", "4a\x1e4\xff", "4\xed\xa0\x80", "4\xed\xa0\xbd\xed\xb8\x80", "2:4a", "4a\x1ebA A",
			}, texts...), tokens: text("\x1e", "\xff", "\xed\xa0\x80", "\xc3"),
		}},
	}
	for _, d := range decoders {
		d.material.valid = d.encode
	}
	return decoders
}

func payloadText3(texts []string, text func(...string) []string) material[[]packet] {
	known := []string{
		"2:4a", "2:4a2:4b", "0:", "0:2:4a", "00002:4a", "00000000002:4a", "000000000002:4a", ":4a", "2", "2:4a1", "2a:4a", "-1:4a", "-0:2:4a", "+2:4a", " 2:4a", "2 :4a",
		" :2:4a", "2.0:4a", "2e0:4a", "0x2:4a", "0b10:4a", "２:4a", "3:4a", "1:4a", "4:4中", "2:4中", "2:4😀", "3:4😀", "3:4😀a", "2.5:4a", "Infinity:4a", "NaN:4a", "\u00a02:4a",
		"18446744073709551618:4a", "9999999999:4a", "99999999999:4a", "2:4\xff", "2:4\xed\xa0\x80", "4:4\xed\xa0\x80", "4:4\xed\xa0\x80a", "2:4a\xff", "3:2\u00c3\u00a9",
		"4:4\u00ed\u00a0\u0080", "7:4\u00ed\u00a0\u00bd\u00ed\u00b8\u0080", "8:4\u00ed\u00a0\u0080\u00ed\u00a0\u0080a", "3:4\u00c0\u0080", "5:4\u00f4\u0090\u0080\u0080", "2:4é", "2:4Ā", "4:4Ã©Ā", "3:4éa", "4:4é中😀", "2:4\u00c3",
	}
	for _, s := range append(texts, "4Ã©", "4"+latin1("中文é😀"), "4"+latin1(latin1("é")), "4naïve café", "4"+latin1("中")+"中", "4€") {
		known = append(known, fmt.Sprintf("%d:%s", units(s), s))
	}
	return material[[]packet]{
		known:  known,
		tokens: text(":", "2:4a", "1:4", "3:4é", "0:", "0x2:", "2.0:", "00000000000", "\xff", "\xed\xa0\x80", "\u00ed\u00a0\u0080", latin1("中"), latin1("😀")),
	}
}

func payloadBinary3(texts []string) material[[]packet] {
	known := []string{
		"", "\x00\x02\xff4a", "\x01\x02\xff\x04a", "\x00\x02\xff4a\x01\x03\xff\x04\x00\xff", "\x00\x02\xff4a\x00\x01\xff2", "\x02\x02\xff\x04a", "\xfe\x02\xff\x04a", "\x00\xff4a", "\x01\xff\x01\xff",
		"\x01\xff\x04a", "\x00\x02", "\x01", "\x00", "\xff", "\x00\x32\xff4a", "\x00\x0a\xff4a23456789", "\x01\x0a\xff4\x04234567890", "\x01\x00\x02\xff\x04a", "\x00\x03\xff4a", "\x01\x03\xff\x04a", "\x01\x09\x09\x09\x09\x09\x09\x09\x09\x09\xff\x04a",
		"\x01" + strings.Repeat("\x09", 400) + "\xff\x04a", "\x01" + strings.Repeat("\x00", 12) + "\x02\xff\x04a", "\x00" + strings.Repeat("\x00", 10) + "\x02\xff4a", "\x00\x02\xff4a\x01\x00\xff", "\x01\x00\xff", "\x00\x00\xff", "\x01\x02\xff4a", "\x00\x02\xff\x04a", "\x00\x02\xff4\xe9",
		"\x00\x03\xff4\xc3\xa9", "\x00\x04\xff4\xed\x41\x80", "\x00\x04\xff4\xed\xa0\x80", "\x00\x07\xff4\xed\xa0\xbd\xed\xb8\x80", "\x00\x07\xff4\xed\xb8\x80\xed\xa0\xbd", "\x00\x05\xff4\xf0\x9f\x98\x80", "\x00\x03\xff4\xc0\x80", "\x00\x05\xff4\xf4\x90\x80\x80",
	}
	for _, s := range texts {
		length := []byte(fmt.Sprint(len(s)))
		for i := range length {
			length[i] -= '0'
		}
		known = append(known, "\x00"+string(length)+"\xff"+s)
	}
	return material[[]packet]{
		known: known,
		tokens: []string{
			"\x00\x02\xff4a", "\x01\x02\xff\x04a", "\x00", "\x01", "\x02", "\x03", "\xff", "\x04", "\x09", "\x0c", "4", "b4AQ", "中", "é", "\xed\xa0\x80", "\xe9", "\x00\x03\xff",
		},
	}
}
