package socketio

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestForwardNested(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		h.Main().On("swap", func(e *Event) {
			if err := e.Ack(e.Forward(1), e.Forward(0), e.Forward(5), Binary([]byte("new")), e.Forward(1)); err != nil {
				t.Error(err)
			}
		})
		c := h.join(t, k)
		c.send(`53-1["swap", { "a" : [{"_placeholder":true,"num":0}], "b":{"num":1,"_placeholder":true}},{"_placeholder":true,"num":2}]`,
			[]byte("a"), []byte("b"), []byte("c"))
		// One attachment is sent once, however often it is named.
		c.want(`64-1[{"_placeholder":true,"num":0},{ "a" : [{"_placeholder":true,"num":1}], "b":{"_placeholder":true,"num":2}},null,`+
			`{"_placeholder":true,"num":3},{"_placeholder":true,"num":0}]`, []byte("c"), []byte("a"), []byte("b"), []byte("new"))
	})
}

// A few attachments named a million times must not become a million attachments.
func TestForwardAmplified(t *testing.T) {
	const times = 20_000
	h := serve(t, nil)
	sizes := make(chan int, 2)
	h.Main().On("relay", func(e *Event) {
		m, err := NewMessage("relay", e.ForwardAll()...)
		if err != nil {
			t.Error(err)
			return
		}
		sizes <- len(m.Attachments)
		var v any
		if err := e.Decode(0, &v); !errors.Is(err, ErrRepeated) && e.Len() == 1 {
			t.Errorf("decoding an attachment many times over: %v", err)
		}
	})
	c := h.join(t, ws5)
	many := strings.Repeat(`{"_placeholder":true,"num":0},`, times) + `{"_placeholder":true,"num":0}`
	c.send(`51-["relay",`+many+`]`, bytes.Repeat([]byte("x"), 100_000))
	same(t, "attachments of many arguments", take(t, "size", sizes), 1)
	c.send(`51-["relay",[`+many+`]]`, []byte{})
	same(t, "attachments of one argument", take(t, "size", sizes), 1)
	c.sync("")
}

// What a client sends as text must not become a placeholder when it is sent on with bytes.
func TestForgedPlaceholder(t *testing.T) {
	h := serve(t, nil)
	errs := make(chan error, 1)
	h.Main().On("relay", func(e *Event) {
		_, err := h.Main().Emit("relayed", e.Forward(0), Binary([]byte("secret")))
		errs <- err
	})
	c := h.join(t, ws5)
	c.send(`2["relay",{"a":{"_placeholder":true,"num":0}}]`)
	if err := take(t, "error", errs); !errors.Is(err, ErrPlaceholder) {
		t.Errorf("sending a forged placeholder: %v", err)
	}
	c.send(`2["relay",{"a":"_placeholder"}]`)
	if err := take(t, "error", errs); err != nil {
		t.Error(err)
	}
	c.want(`51-["relayed",{"a":"_placeholder"},{"_placeholder":true,"num":0}]`, []byte("secret"))
}

type picture struct {
	Name  string           `json:"name"`
	Data  Bytes            `json:"data"`
	Plain []byte           `json:"plain,omitempty"`
	More  map[string]Bytes `json:"more,omitempty"`
}

func TestDecodeNested(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		h := serve(t, nil)
		got := make(chan picture, 1)
		Handle(h.Main(), "picture", func(e *Event, p picture) {
			got <- p
			if err := e.Ack(JSON(p)); err != nil {
				t.Error(err)
			}
		}, func(_ *Event, err error) { t.Error(err) })
		c := h.join(t, k)
		c.send(`52-1["picture",{"name":"é","data":{"_placeholder":true,"num":1},"plain":{"_placeholder":true,"num":0}}]`, []byte("plain"), []byte{0, 255})
		same(t, "picture", fmt.Sprint(take(t, "picture", got)), fmt.Sprint(picture{Name: "é", Data: Bytes{0, 255}, Plain: []byte("plain")}))
		name := "é"
		if k == polling4 {
			name = `\u00e9`
		}
		c.want(`61-1[{"name":"`+name+`","data":{"_placeholder":true,"num":0},"plain":"cGxhaW4="}]`, []byte{0, 255})
	})
}

func TestDecodeBinary(t *testing.T) {
	h := serve(t, nil)
	got := make(chan string, 1)
	Handle(h.Main(), "bytes", func(_ *Event, b []byte) { got <- "bytes " + string(b) }, nil)
	Handle(h.Main(), "any", func(_ *Event, v any) { got <- fmt.Sprint(v) }, nil)
	c := h.join(t, ws5)
	c.send(`51-["bytes",{"_placeholder":true,"num":0}]`, []byte("abc"))
	same(t, "bytes", take(t, "event", got), "bytes abc")
	c.send(`51-["any",[{"_placeholder":true,"num":0},1]]`, []byte("abc"))
	same(t, "any", take(t, "event", got), "[YWJj 1]")
}

func TestJSONWithBytes(t *testing.T) {
	tests := []struct {
		name        string
		args        []Arg
		want        string
		attachments string
	}{
		{
			"in a struct",
			[]Arg{JSON(picture{Data: Bytes("d"), More: map[string]Bytes{"a": Bytes("1"), "b": Bytes("2")}})},
			`[{"name":"","data":{"_placeholder":true,"num":0},"more":{"a":{"_placeholder":true,"num":1},"b":{"_placeholder":true,"num":2}}}]`, `["d" "1" "2"]`,
		},
		{"alone", []Arg{JSON(Bytes("d"))}, `[{"_placeholder":true,"num":0}]`, `["d"]`},
		{"none", []Arg{JSON(Bytes(nil))}, `[{"_placeholder":true,"num":0}]`, `[""]`},
		{
			"beside others",
			[]Arg{Binary([]byte("x")), JSON([]any{Bytes("d")}), JSON(Bytes("e"))},
			`[{"_placeholder":true,"num":0} [{"_placeholder":true,"num":1}] {"_placeholder":true,"num":2}]`, `["x" "d" "e"]`,
		},
		{"not base64", []Arg{JSON(map[string]any{"_placeholder": true, "base64": "?"})}, `[{"_placeholder":true,"base64":"?"}]`, `[]`},
		{"numbers", []Arg{JSON(map[string]any{"_placeholder": true, "base64": []int{1}})}, `[{"_placeholder":true,"base64":[1]}]`, `[]`},
		{"other base64", []Arg{JSON(map[string]any{"base64": "AAAA"})}, `[{"base64":"AAAA"}]`, `[]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := NewMessage("e", tt.args...)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "arguments", fmt.Sprintf("%s", m.Args), tt.want)
			same(t, "attachments", fmt.Sprintf("%q", m.Attachments), tt.attachments)
		})
	}
	for _, forged := range []map[string]any{{"_placeholder": true, "num": 0}, {"_placeholder": true, "base64": "?"}} {
		if _, err := NewMessage("e", JSON([]any{Bytes("d"), forged})); !errors.Is(err, ErrPlaceholder) {
			t.Errorf("%v among Bytes: %v", forged, err)
		}
	}
}

// An event as JSON that says everything, for those who do not speak Socket.IO.
func TestPlain(t *testing.T) {
	h := serve(t, nil)
	h.Main().On("plain", func(e *Event) {
		for i := range e.Len() + 1 {
			plain, err := e.Plain(i)
			switch {
			case errors.Is(err, ErrRepeated):
				plain = []byte(`"repeated"`)
			case err != nil:
				t.Error(err)
			case plain == nil:
				plain = []byte(`"none"`)
			}
			if err := e.Socket.Emit("arg", Raw(bytes.Clone(plain))); err != nil {
				t.Error(err)
			}
		}
	})
	c := h.join(t, ws5)
	c.send(`52-["plain",7,{"_placeholder":true,"num":1},[{"a":{"_placeholder":true,"num":0}}],[{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]]`,
		[]byte{0, 255}, []byte(""))
	c.want(`2["arg",7]`)
	c.want(`2["arg",{"$binary":""}]`)
	c.want(`2["arg",[{"a":{"$binary":"AP8="}}]]`)
	c.want(`2["arg","repeated"]`)
	c.want(`2["arg","none"]`)
	c.send(`2["plain",{"_placeholder":true,"num":0}]`)
	c.want(`2["arg",{"_placeholder":true,"num":0}]`)
	c.want(`2["arg","none"]`)
}
