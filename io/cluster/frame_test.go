package cluster

import (
	"errors"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/tinylib/msgp/msgp"

	"crier/io/hub"
)

// pack writes [uid, {type, data: [event], nsp}, opts] with one part given otherwise: hexadecimal.
func pack(t testing.TB, packet, options string) []byte {
	t.Helper()
	return unhex(t, "93 a7"+"656d6974746572"+packet+options)
}

const (
	plainPacket  = "82 a474797065 02 a464617461 91 a3 6e6577" // {type: 2, data: ["new"]}
	plainOptions = "80"
)

func TestFrame(t *testing.T) {
	tests := []struct {
		name string
		body []byte
		want string // as the station notes it
	}{
		{"the least", pack(t, plainPacket, plainOptions), "/ all: new"},
		{"without a type", pack(t, "81 a464617461 91 a3 6e6577", plainOptions), "/ all: new"},
		{"without a namespace that is one", pack(t, "82 a464617461 91 a3 6e6577 a36e7370 c0", plainOptions), "/ all: new"},
		{"an event that is a number", pack(t, "81 a464617461 92 07 c0", plainOptions), "/ all: 7 null"},
		{"members nobody knows", pack(t, "83 a3 787878 92 c0 81a16101 a464617461 91 a3 6e6577 a178 c0", "81 a178 93 01 02 03"), "/ all: new"},
		{"nil for everything", pack(t, plainPacket, "83 a5726f6f6d73 c0 a6657863657074 c0 a5666c616773 c0"), "/ all: new"},
		{"PHP's empty arrays", pack(t, plainPacket, "83 a5726f6f6d73 90 a6657863657074 90 a5666c616773 90"), "/ all: new"},
		{"options that are an empty array", pack(t, plainPacket, "90"), "/ all: new"},
		{"no options", pack(t, plainPacket, "c0"), "/ all: new"},
		{"Python's empty texts", pack(t, plainPacket, "82 a5726f6f6d73 a0 a5666c616773 a0"), "/ all: new"},
		{"one room that is no list", pack(t, plainPacket, "81 a5726f6f6d73 a161"), "/ a: new"},
		{"rooms that are numbers", pack(t, plainPacket, "81 a5726f6f6d73 93 07 cd0100 ff"), "/ -1+256+7: new"},
		{"rooms of a PHP array with gaps", pack(t, plainPacket, "81 a5726f6f6d73 82 01 a161 03 a162"), "/ a+b: new"},
		{"rooms that cannot be", pack(t, plainPacket, "81 a5726f6f6d73 93 a0 a100 a1ff"), "/ nobody: new"},
		{"some rooms that cannot be", pack(t, plainPacket, "81 a5726f6f6d73 92 a100 a161"), "/ a: new"},
		{"exceptions that cannot be", pack(t, plainPacket, "81 a6657863657074 91 a100"), "/ all: new"},
		{"not volatile", pack(t, plainPacket, "81 a5666c616773 82 a8766f6c6174696c65 c2 a178 01"), "/ all: new"},
		{"another namespace", pack(t, "82 a464617461 91 a3 6e6577 a36e7370 a52f63686174", plainOptions), "/chat all: new"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newStation(t, nowhere(t))
			if got := strings.Join(s.hear("socket.io#/#", test.body), "\n"); got != test.want {
				t.Errorf("got %q, want %q; the log: %s", got, test.want, s.log)
			}
		})
	}
}

func TestFrameRefused(t *testing.T) {
	large := string(make([]byte, maxPayload))
	tests := []struct {
		name string
		body []byte
		want error // nil: any
	}{
		{"nothing", nil, errNotFrame},
		{"text", []byte("hello"), errNotFrame},
		{"JSON", []byte(`["emitter",{"type":2,"data":["x"]},{}]`), errNotFrame},
		{"one part", unhex(t, "91 80"), errNotFrame},
		{"four parts", unhex(t, "94 80 80 80 80"), errNotFrame},
		{"an array for a packet", pack(t, "91 01", plainOptions), nil},
		{"a packet that says nothing", pack(t, "80", plainOptions), errNotEvent},
		{"an empty array for a packet", pack(t, "90", plainOptions), errNotEvent},
		{"data that is no array", pack(t, "81 a464617461 a161", plainOptions), errNotEvent},
		{"data that is empty", pack(t, "81 a464617461 90", plainOptions), errNotEvent},
		{"an event without a name", pack(t, "81 a464617461 91 a0", plainOptions), errNotEvent},
		{"an event that is a list", pack(t, "81 a464617461 91 90", plainOptions), errNotEvent},
		{"an event that is not UTF-8", pack(t, "81 a464617461 91 a1ff", plainOptions), hub.ErrBadMessage},
		{"an event that clients refuse", pack(t, "81 a464617461 91 aa"+"646973636f6e6e656374", plainOptions), errReserved},
		{"a disconnect", pack(t, "81 a474797065 01", plainOptions), errKind},
		{"a type that is text", pack(t, "81 a474797065 a132", plainOptions), nil},
		{"a namespace that is a number", pack(t, "81 a36e7370 01", plainOptions), nil},
		{"rooms that are lists", pack(t, plainPacket, "81 a5726f6f6d73 91 90"), errNotName},
		{"rooms that are true", pack(t, plainPacket, "81 a5726f6f6d73 c3"), errNotName},
		{"rooms that end early", pack(t, plainPacket, "81 a5726f6f6d73 dd ffffffff a161"), nil},
		{"rooms of a map that end early", pack(t, plainPacket, "81 a5726f6f6d73 df ffffffff 01 a161"), nil},
		{"too many rooms", append(pack(t, plainPacket, "81 a5726f6f6d73 dc 2711"), strings.Repeat("\xa1a", 10_001)...), errManyNames},
		{"something behind", pack(t, plainPacket, "80 80"), errTrailing},
		{"an end in the middle", pack(t, plainPacket, ""), nil},
		{"a packet that says more than it has", pack(t, "df ffffffff a178 01", ""), nil},
		{"deep in what nobody reads", unhex(t, "93"+strings.Repeat("91", 200_000)+"c0 80 80"), msgp.ErrRecursion},
		{"an argument that is too large", append(append(unhex(t, "93 c0 81 a464617461 92 a161 db 000186a0"), large...), 0x80), errTooLarge},
		{"an attachment that is too large", append(append(unhex(t, "93 c0 81 a464617461 92 a161 c6 000186a0"), large...), 0x80), errTooLarge},
		{"100 MB", make([]byte, 100e6), errTooLarge},
		{"a member that looks like an attachment", pack(t, "81 a464617461 93 a161 c400 81 ac"+"5f706c616365686f6c646572"+" c3", plainOptions), errPlaceholder},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newStation(t, nowhere(t))
			if got := s.hear("socket.io#/#", test.body); len(got) > 0 {
				t.Fatalf("done: %q", got)
			}
			if s.Stats() != (EmitterStats{Dropped: 1}) || !strings.Contains(s.log.String(), "dropped what an emitter sent") {
				t.Errorf("%+v, the log: %s", s.Stats(), s.log)
			}
			if test.want == nil || errors.Is(test.want, errTooLarge) {
				return
			}
			_, err := parseFrame(test.body, maxPayload)
			if err == nil && errors.Is(test.want, hub.ErrBadMessage) {
				return // the hub says so
			}
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// TestLyingLengths sees that nothing is allocated for what a frame only says that it has.
func TestLyingLengths(t *testing.T) {
	bodies := [][]byte{
		pack(t, "81 a464617461 dd ffffffff a161 dd ffffffff df ffffffff", ""),
		pack(t, "81 a464617461 92 a161 c6 ffffffff", ""),
		pack(t, "81 a464617461 92 a161 db ffffffff", ""),
		pack(t, plainPacket, "81 a5726f6f6d73 dd ffffffff"),
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, body := range bodies {
		if _, err := parseFrame(body, maxPayload); err == nil {
			t.Errorf("%x is taken", body)
		}
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("%d bytes were allocated", used)
	}
}

func TestOneComplaintAMinute(t *testing.T) {
	s := newStation(t, nowhere(t))
	for range 1000 {
		s.hear("socket.io#/#", []byte("junk"))
	}
	if n := strings.Count(s.log.String(), "\n"); n != 1 || s.Stats().Dropped != 1000 {
		t.Errorf("%d lines, %+v", n, s.Stats())
	}
}

func TestPassedOver(t *testing.T) {
	s := newStation(t, nowhere(t))
	for channel, body := range map[string]string{
		"socket.io#/other#":          string(pack(t, "82 a464617461 91 a161 a36e7370 a62f6f74686572", plainOptions)),
		"socket.io-request#/other#":  `{"type":4,"opts":{"rooms":[],"except":[]}}`,
		"socket.io-request#/#":       `{"type":4,"sid":"x","requestId":"r","close":true}`,
		"socket.io-request#/chat#":   `{"type":6,"uid":"emitter","data":["a"],"opts":{}}`,
		"socket.io-request#/chat#x#": `{"type":99,"opts":{}}`,
	} {
		if got := s.hear(channel, []byte(body)); len(got) > 0 {
			t.Errorf("%s: done %q", channel, got)
		}
	}
	if got := s.Stats(); got != (EmitterStats{Passed: 5}) {
		t.Errorf("%+v", got)
	}
}

func TestRequestRefused(t *testing.T) {
	many := `"` + strings.Repeat(`a","`, 10_000) + `a"`
	for _, body := range []string{
		``, `x`, `[]`, `{}`, `{"type":"2"}`, `{"type":2,"opts":{"rooms":true}}`, `{"type":2,"opts":{"rooms":[[]]}}`, `{"type":2,"opts":{},"rooms":["\u0000"]}`,
		`{"type":2,"opts":{"rooms":[` + many + `]}}`, strings.Repeat(`{"opts":`, 100_000), `{"type":2,"opts":[]}`,
	} {
		t.Run(strconv.Quote(body[:min(len(body), 40)]), func(t *testing.T) {
			s := newStation(t, nowhere(t))
			if got := s.hear("socket.io-request#/#", []byte(body)); len(got) > 0 || s.Stats() != (EmitterStats{Dropped: 1}) {
				t.Errorf("done %q, %+v", got, s.Stats())
			}
		})
	}
}

func TestNames(t *testing.T) {
	for text, want := range map[string]string{
		`null`: "all", `""`: "all", `[]`: "all", `{}`: "all", `["a",7,"é"]`: "7+a+é", `"a"`: "a", `7`: "7", `{"1":"a","3":8}`: "8+a", `["\u00e9"]`: "é", `[""]`: "nobody",
	} {
		var n names
		if err := n.UnmarshalJSON([]byte(text)); err != nil || describe(audience(n, nil)) != want {
			t.Errorf("%s: %v %v", text, n, err)
		}
	}
}

func FuzzFrame(f *testing.F) {
	for _, c := range readCaptured(f) {
		f.Add(c.body(f))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		const limit = 1000
		got, err := parseFrame(body, limit)
		if err != nil {
			return
		}
		size := len(got.event)
		for _, a := range got.args {
			size += len(a)
		}
		for _, a := range got.attachments {
			size += len(a)
		}
		if got.event == "" || got.namespace == "" || !valid(got.args) || size > limit || len(got.rooms) > mostNames || len(got.except) > mostNames {
			t.Errorf("%x is taken for %+v", body, got)
		}
		if len(got.attachments) > 0 {
			placeholders := 0
			for _, a := range got.args {
				placeholders += strings.Count(string(a), `{"_placeholder":true,"num":`)
			}
			if placeholders < len(got.attachments) {
				t.Errorf("%d placeholders for %d attachments", placeholders, len(got.attachments))
			}
		}
	})
}

func FuzzRequest(f *testing.F) {
	for _, c := range readCaptured(f) {
		if c.Text != "" {
			f.Add([]byte(c.Text))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if r, err := parseRequest(body); err == nil && r.Type == nil {
			t.Errorf("%q has no type", body)
		}
	})
}
