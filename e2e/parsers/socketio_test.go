package parsers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"crier/io/socketio"
)

// maxAttachments is what the official parsers allow unless told otherwise.
const maxAttachments = 10

// socketVerdict is what an official parser says; parsers.mjs describes it.
type socketVerdict struct {
	Error       string
	Type        socketio.PacketType
	Nsp         string
	ID          *string
	Attachments string
	Data        *string
	Same        bool
	Assembly    string
}

func (v socketVerdict) String() string {
	out, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(out)
}

// socketCase is one input and what both sides say.
type socketCase struct {
	parser string // with its version
	input  string
	ours   socketio.Packet
	err    error
	theirs socketVerdict
	what   string // the difference
}

// The differences.
const (
	acceptance  = "is accepted by one side only"
	idDiffers   = "differs in the acknowledgement id"
	notAssembly = "cannot be put together from its attachments"
)

const (
	parser23 = "socket.io-parser 2.3.1"
	parser33 = "socket.io-parser 3.3.5"
	parser34 = "socket.io-parser 3.4.5"
	parser42 = "socket.io-parser 4.2.7"
)

// compare returns what differs and no rule explains.
func (c socketCase) compare(rules *rulebook[socketCase]) []string {
	differences := c.differences()
	return slices.DeleteFunc(differences, func(what string) bool {
		c.what = what
		return rules.covers(c)
	})
}

func (c socketCase) differences() []string {
	switch {
	case c.err != nil && c.theirs.Error != "":
		return nil
	case c.err != nil || c.theirs.Error != "":
		return []string{acceptance}
	}
	var list []string
	if c.ours.Type != c.theirs.Type {
		list = append(list, "differs in the type")
	}
	if c.ours.Namespace != c.theirs.Nsp {
		list = append(list, "differs in the namespace")
	}
	if c.ours.HasID != (c.theirs.ID != nil) || c.ours.HasID && strconv.FormatUint(c.ours.ID, 10) != *c.theirs.ID {
		list = append(list, idDiffers)
	}
	if strconv.Itoa(c.ours.Attachments) != c.theirs.Attachments {
		list = append(list, "differs in the number of attachments")
	}
	if !c.theirs.Same || (c.ours.Data == nil) != (c.theirs.Data == nil) {
		list = append(list, "differs in the payload")
	}
	if c.theirs.Assembly != "" {
		list = append(list, notAssembly)
	}
	return list
}

// TestSocketIO compares the decoder of Socket.IO.
func TestSocketIO(t *testing.T) {
	node := startOfficials(t)
	n, seed := setting(t, inputsVariable, 3000), uint64(setting(t, seedVariable, 1))
	rules := newRulebook(socketRules)
	parsers := map[string]*tally{}
	for list := inputs(newGenerator(seed, 100), socketMaterial(), n); len(list) > 0; {
		part := list[:min(batch, len(list))]
		list = list[len(part):]
		compareSocket(t, node, part, rules, parsers)
	}
	checkTallies(t, parsers, n, false, []string{parser23, parser33, parser34, parser42})
	if !t.Failed() {
		rules.check(t)
	}
}

func compareSocket(t *testing.T, node *officials, list []input[socketio.Packet], rules *rulebook[socketCase], parsers map[string]*tally) {
	t.Helper()
	q := question{Decoder: "packet"}
	for _, in := range list {
		var data *string
		if p, err := socketio.ParsePacket(in.bytes, maxAttachments); err == nil && p.Data != nil {
			text := string(p.Data)
			data = &text
		}
		q.Inputs, q.Data = append(q.Inputs, in.bytes), append(q.Data, data)
	}
	var answer map[string][]socketVerdict
	node.ask(t, q, &answer)
	for parser, verdicts := range answer {
		if len(verdicts) != len(list) {
			t.Fatalf("%s: %d verdicts on %d inputs", parser, len(verdicts), len(list))
		}
		if parsers[parser] == nil {
			parsers[parser] = &tally{}
		}
		for i, v := range verdicts {
			c := socketCase{parser: parser, input: string(list[i].bytes), theirs: v}
			c.ours, c.err = socketio.ParsePacket(list[i].bytes, maxAttachments)
			differences := c.compare(rules)
			if want := list[i].want; want != nil && (c.err != nil || !reflect.DeepEqual(c.ours, *want)) {
				differences = append(differences, "does not come back")
			}
			what := strings.Join(differences, ", ")
			parsers[parser].count(what, c.err == nil, v.Error == "")
			if what != "" {
				rules.report(t, "%q %s:\n  Crier: %+v, %v\n  %s: %v", c.input, what, c.ours, c.err, parser, v)
			}
		}
	}
}

// socketMaterial is what inputs are made of; the known ones are those of which somebody once thought.
func socketMaterial() material[socketio.Packet] {
	known := []string{
		"", " ", "7", "8", "a", "-1", "٢", "\u00a0", "\n{}", "0", "00", "0{}", "0{", "0[]", "0null", `0"a"`, "0 {}", "01{}", "0/", "0/,", "0/a", "0/a,", "0/a,{}", "0/a,[]", "0/a?b=1,", "0/a?b=1&c=2",
		"1", "1{}", "1[]", "10", "1/a", "1/a,", "1/a,{}", "2", "25", "2[]", "2{}", "2[1]", "2[-1]", "2[1.5e3]", "2[null]", "2[true]", "2[{}]", "2[[]]", `2["a"]`, `2["a"`, `2["a",]`, `2["a"]x`,
		`2["a"] `, `2 ["a"]`, "2\t[\"a\"]", "2\u00a0[\"a\"]", `2["a",1]1`, `2[ "a" ]`, `2['a']`, `2[,"a"]`, `212["a"]`, `2012["a"]`, `21 ["a"]`, `21 2["a"]`, `2 1["a"]`, "2 ", "3 ", `29007199254740992["a"]`,
		`29007199254740993["a"]`, `218446744073709551617["a"]`, `2-1["a"]`, `21.5["a"]`, `21e3["a"]`, `2/a["a"]`, `2/a,["a"]`, `2/a,5["a"]`, `2/,["a"]`, `2//,["a"]`, `2,["a"]`, `2/中文é😀,["中文é😀"]`,
		`2["connect"]`, `2["connect_error"]`, `2["disconnect"]`, `2["disconnecting"]`, `2["newListener"]`, `2["removeListener"]`, `2["\u0063onnect"]`, `2["connected"]`, `2["error"]`, `2[""]`,
		`2["\ud800"]`, `2["\x"]`, "2[\"\u2028\"]", "2[\"a\nb\"]", `2["a",1e999,-0,01]`, `2["a",1e999,-0]`, `2["a",{"a":1,"a":2,"__proto__":{"b":1}}]`, `2["a",NaN]`, `2["a",+1]`, `2["a",.5]`, `2["a",1.]`,
		`2["a",` + strings.Repeat("[", 10100) + strings.Repeat("]", 10100) + "]", `2["a",` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + "]",
		"3", "31", "3[]", "31[]", `31["a"]`, "31{}", "31null", "31 []", "3/a,1[]", "4", `4"a"`, "4{}", "4[]", "41", "4null", "4true", "4/a,{\"message\":\"no\"}",
		"5", "51", "5-", `5-["a"]`, `51-["a"]`, `50-["a"]`, "50-[]", `510-["a"]`, `511-["a"]`, `501-["a"]`, `5-1-["a"]`, `5+1-["a"]`, `51.5-["a"]`, `51.0-["a"]`, `5 1-["a"]`, `5 -["a"]`, `51-/a,["a"]`, `51-/a,7["a"]`,
		`51-7["a"]`, `51["a"]`, `5a-["a"]`, `5Infinity-["a"]`, `50x1-["a"]`, `50b1-["a"]`, `51e0-["a"]`, `51-["connect"]`, "51-[]", "51-{}", "51-", "61-", "61-1", "61-1[]", "61-1{}", "61-[]", "61-/a,1[]",
		`5999999999999999999999999-["a"]`, `512-["a"]`, `51-["a",{"_placeholder":true,"num":0}]`, `51-["a",{"_placeholder":true,"num":1}]`, `51-["a",{"_placeholder":true,"num":"0"}]`,
		`51-["a",{"_placeholder":true}]`, `51-["a",{"_placeholder":1,"num":9}]`, `52-["a",{"_placeholder":true,"num":1},{"x":[{"_placeholder":true,"num":-1}]}]`, `61-1[{"_placeholder":true,"num":0.5}]`,
	}
	return material[socketio.Packet]{
		known: known,
		text:  true,
		tokens: []string{
			"0", "1", "2", "3", "4", "5", "6", "7", "51-", "52-", "61-", "50-", "511-", "-", ".", "e", "0x", "/a,", "/", ",", "?b=1", " ", "\t", "\u00a0", `["a"]`, `["a",`, "[", "]", "{}", "{", `"`, "\\", "null",
			`"connect"`, `"disconnecting"`, `{"_placeholder":true,"num":0}`, `{"_placeholder":true,"num":5}`, "9007199254740992", "中", "😀",
		},
		valid: validPacket,
	}
}

// validPacket makes a random packet with Crier's encoder.
func validPacket(g generator) (string, socketio.Packet) {
	p := socketio.Packet{Type: socketio.PacketType(g.IntN(7)), Namespace: pick(g, []string{"/", "/", "/a", "/中文", "/a/b?c=1", "//"})}
	name := pick(g, []string{g.jsonString(), `"a"`, "1", "-2.5"})
	id := g.IntN(2) == 0
	switch p.Type {
	case socketio.PacketBinaryEvent, socketio.PacketBinaryAck:
		p.Attachments = 1 + g.IntN(maxAttachments)
		if g.IntN(10) == 0 {
			p.Attachments = 0
		}
		fallthrough
	case socketio.PacketEvent, socketio.PacketAck:
		if p.HasID = id; id {
			p.ID = pick(g, []uint64{0, 7, g.Uint64N(1000), g.Uint64N(1 << 53), 1 << 53})
		}
		if p.Type == socketio.PacketAck || p.Type == socketio.PacketBinaryAck {
			p.Data = json.RawMessage(g.jsonArray(2))
			break
		}
		p.Data = json.RawMessage(g.jsonArray(3, name))
	case socketio.PacketConnect, socketio.PacketConnectError:
		if g.IntN(2) == 0 {
			p.Data = json.RawMessage(fmt.Sprintf(`{"a":%s}`, g.json(2)))
		}
	}
	return string(socketio.AppendPacket(nil, p)), p
}

// placeholdersFit says whether the placeholders in JSON name attachments that there are.
func placeholdersFit(data []byte, attachments int) bool {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return false
	}
	var fit func(v any) bool
	fit = func(v any) bool {
		switch v := v.(type) {
		case []any:
			return !slices.ContainsFunc(v, func(e any) bool { return !fit(e) })
		case map[string]any:
			if v["_placeholder"] == true {
				num, ok := v["num"].(json.Number)
				n, err := num.Float64()
				return ok && err == nil && n >= 0 && n < float64(attachments)
			}
			for _, e := range v {
				if !fit(e) {
					return false
				}
			}
		}
		return true
	}
	return fit(v)
}
