package attack

import (
	"errors"
	"fmt"
	"strings"
)

// attaches is an input: a packet, and binary data behind it.
func attaches(name, packet string, times int, become func(*session) error) Input {
	return Input{name, func(a *Attacker, w Way) error {
		s, err := a.join(w)
		if err != nil {
			return err
		}
		if packet != "" {
			if err := s.say(packet); err != nil {
				return err
			}
		}
		for range times {
			if err := s.attach("data"); err != nil {
				return err
			}
		}
		return become(s)
	}}
}

// held stands for an attachment.
const held = `{"_placeholder":true,"num":0}`

// packets are attacks by packets of Socket.IO (Socket.IO protocol, "Encoding").
func packets() []Family {
	digits := strings.Repeat("9", maxPayload-100) // a message has no room for more
	deep := func(open, shut string) string { return strings.Repeat(open, 100_000) + strings.Repeat(shut, 100_000) }
	return []Family{
		{"attachments that never come", "socketioxide GHSA-55mf-67qm-4wpg; python-socketio CVE-2026-48804", engines, []Input{
			says("an event in their place", (*session).gone, `451-["x",`+held+`]`, `42["login","x"]`),
			says("nothing in their place", either, `451-["x",`+held+`]`), says("another announcement in their place", (*session).gone, `451-["x",`+held+`]`, `451-["x",`+held+`]`),
			says("an end in their place", either, `451-["x",`+held+`]`, "41"),
			{"all but one, on sessions that come and go", func(a *Attacker, w Way) error {
				for range a.count(8, 200) {
					s, err := a.join(w)
					if err != nil {
						return err
					}
					if err := s.say(`452-["x",` + held + `,{"_placeholder":true,"num":1}]`); err != nil {
						return err
					}
					if err := s.attach(strings.Repeat("x", 700_000)); err != nil {
						return err
					}
				}
				return a.Close()
			}},
		}},
		{"attachments without number", "socket.io-parser CVE-2026-33151", engines, []Input{
			says("10⁹", (*session).gone, "45999999999-[\"x\"]"), says("2⁶⁴", (*session).gone, "4518446744073709551616-[\"x\"]"), says("a million digits", (*session).gone, "45"+digits+"-[\"x\"]"),
			says("negative", (*session).gone, "45-1-[\"x\"]"), says("none told", (*session).gone, "45-[\"x\"]"), says("a fraction", (*session).gone, "451.5-[\"x\"]"), says("no dash", (*session).gone, "451"), says("of an acknowledgement", (*session).gone, "4699999999-1[]"),
		}},
		{"binary data that nobody announced", "socket.io-parser CVE-2026-69185", engines, []Input{
			attaches("at first", "", 1, (*session).gone), attaches("behind an event without any", `450-["x"]`, 3, (*session).gone),
			attaches("more than announced", `451-["x",`+held+`]`, 3, (*session).gone),
			{"before joining", func(a *Attacker, w Way) error {
				s, err := a.open(w)
				if err != nil {
					return err
				}
				return errors.Join(s.attach("data"), s.gone())
			}},
		}},
		{"placeholders", "socket.io-parser CVE-2022-2421", engines, []Input{
			attaches("out of range", `451-["x",{"_placeholder":true,"num":7}]`, 1, either), attaches("negative", `451-["x",{"_placeholder":true,"num":-1}]`, 1, either),
			attaches("a fraction", `451-["x",{"_placeholder":true,"num":0.5}]`, 1, either), attaches("a name", `451-["x",{"_placeholder":true,"num":"splice"}]`, 1, either),
			attaches("__proto__", `451-["x",{"_placeholder":true,"num":"__proto__"}]`, 1, either), attaches("twice the same", `451-["x",`+held+`,`+held+`]`, 1, either),
			attaches("none for what comes", `451-["x"]`, 1, either), attaches("in the place of the name", `451-[`+held+`]`, 1, either), attaches("in a number without attachments", `42["login",`+held+`]`, 0, either),
		}},
		{"names that are no text", "socket.io-parser CVE-2023-32695", engines, []Input{
			says("an object that can be text", (*session).gone, `42[{"toString":"foo"}]`), says("an object", (*session).gone, `42[{}]`), says("a list", (*session).gone, `42[["login","x"]]`), says("null", (*session).gone, `42[null]`),
			says("true", (*session).gone, `42[true]`), says("none", (*session).gone, `42[]`), says("no list", (*session).gone, `42{"0":"login"}`), says("text", (*session).gone, `42"login"`), says("nothing", (*session).gone, `42`), says("a number", (*session).lives, `42[7,"x"]`),
		}},
		{"ids of acknowledgements", "socket.io-parser", engines, []Input{
			says("a million digits", (*session).gone, "42"+digits+`["login","x"]`), says("over 2⁵³", (*session).gone, `429007199254740993["login","x"]`),
			says("negative", (*session).gone, `42-1["login","x"]`), says("zeros in front", either, `42`+strings.Repeat("0", 1000)+`7["login","x"]`),
			says("of what nobody asked", (*session).lives, `431234["x"]`, `431234["x"]`, `430[]`), says("without an id", either, `43["x"]`), says("with no list", either, `431{"a":1}`),
		}},
		{"namespaces", "socket.io, 10⁵ namespaces", engines, []Input{
			{"many", func(a *Attacker, w Way) error {
				s, err := a.join(w)
				if err != nil {
					return err
				}
				for n := 0; n < a.count(2000, 100_000); n += 500 {
					var list []string
					for i := range 500 {
						list = append(list, fmt.Sprintf("40/n%d,", n+i))
					}
					if err := s.say(list...); err != nil {
						return err
					}
				}
				return nil
			}},
			says("of 100,000 letters", either, "40/"+strings.Repeat("n", 100_000)+","), says("__proto__", (*session).lives, "40/__proto__,", "40/constructor,"), says("that nobody joined", either, `42/admin,["login","x"]`),
			says("without a comma", either, "40/admin"), says("with a query", either, "40/?"+strings.Repeat("a=b&", 10_000)+","), says("left and not joined", either, "41/admin,"),
		}},
		{"joining", "socket.io, CONNECT", engines, []Input{
			says("again and again", either, strings.Split(strings.Repeat("40 ", 500), " ")[:500]...), says("and leaving", either, strings.Split(strings.Repeat("41 40 ", 250), " ")[:500]...), says("an event behind leaving", either, "41", `42["login","x"]`),
			says("with a list", either, "40[]"), says("with text", either, `40"x"`), says("with an object of many names", either, "40{"+strings.TrimSuffix(strings.Repeat(`"a":1,`, 50_000), ",")+"}"), says("with __proto__", either, `40{"__proto__":{"uid":"x"}}`),
			says("with a uid that is none", either, `40{"uid":{"toString":1},"token":[]}`), says("with recovery that is none", either, `40{"pid":"`+strings.Repeat("p", 50_000)+`","offset":{}}`), says("with an error", either, `44{"message":"x"}`),
		}},
		{"JSON that is deep", "JSON of depth 10⁵; stack overflow", engines, []Input{
			says("lists", (*session).gone, `42["x",`+deep("[", "]")+`]`), says("objects", (*session).gone, `42["x",`+strings.Repeat(`{"a":`, 100_000)+"1"+strings.Repeat("}", 100_000)+`]`), says("lists without end", (*session).gone, `42["x",`+strings.Repeat("[", 400_000)),
			says("in the place of a login", (*session).gone, `40`+strings.Repeat(`{"a":`, 100_000)+"1"+strings.Repeat("}", 100_000)), says("in an acknowledgement", (*session).gone, `431[`+deep("[", "]")+`]`),
		}},
		{"JSON that is odd", "RFC 8259 §8, §9", engines, []Input{
			says("lone surrogates", (*session).lives, `42["x","\ud800","\udfff\ud800"]`), says("NULs", (*session).lives, `42["x\u0000y","\u0000"]`), says("escapes that are none", (*session).gone, `42["x","\q"]`), says("control characters", (*session).gone, "42[\"x\",\"a\x01b\"]"),
			says("numbers without end", either, `42["x",1e999999,-1e-999999,`+strings.Repeat("9", 100_000)+`]`), says("names twice", (*session).lives, `42["x",{"a":1,"a":2,"__proto__":{"b":1}}]`), says("NaN", (*session).gone, `42["x",NaN]`),
			says("a byte order mark", either, "42\ufeff[\"x\"]"), says("junk behind", (*session).gone, `42["x"]junk`), says("cut", (*session).gone, `42["x",{"a":`), says("100,000 arguments", (*session).lives, `42["x"`+strings.Repeat(",1", 100_000)+`]`),
			says("single quotes", (*session).gone, `42['x']`),
		}},
		{"types of packets of Socket.IO", "Socket.IO protocol", engines, []Input{
			says("7", (*session).gone, `47["x"]`), says("a letter", (*session).gone, `4a["x"]`), says("none", (*session).gone, "4"), says("a code point over 127", (*session).gone, "4é"), says("a comma", either, "4,"), says("an answer with bytes that nobody asked", either, "460-1[]"),
		}},
	}
}

// hostileNames are names that mean something to somebody.
var hostileNames = []string{
	"__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener", "error", "data", "close", "ping",
	"", " ", "..", "../../etc/passwd", "a\\u0000b", "\\r\\nX-Evil: 1", "<script>alert(1)</script>", "' OR 1=1 --", "${jndi:ldap://x}", "{{7*7}}", "%s%n", "\\ud800", "😀", strings.Repeat("n", 10_000),
}

// events are attacks by events.
func events() []Family {
	named := func(format string) []Input {
		var all []Input
		for _, name := range hostileNames {
			all = append(all, says(name[:min(len(name), 30)], either, strings.ReplaceAll(format, "NAME", name)))
		}
		return all
	}
	arguments := []string{`{}`, `[]`, `null`, `true`, `1.5`, `1e400`, `-0`, `123456789012345678901234567890`, `""`, `"` + strings.Repeat("u", 256) + `"`, `"` + strings.Repeat("u", 500_000) + `"`, `"a\u0000b"`, `"a","b","c","d"`, `{"toString":"x"}`, `{"_placeholder":true,"num":0}`}
	var logins []Input
	for _, argument := range arguments {
		logins = append(logins, says(argument[:min(len(argument), 30)], either, `427["login",`+argument+`]`, `428["subscribe",`+argument+`]`, `429["unsubscribe",`+argument+`]`, `4210["logout",`+argument+`]`))
	}
	repeated := func(name string, packet string, short, long int) Input {
		return Input{name, func(a *Attacker, w Way) error {
			s, err := a.join(w)
			if err != nil {
				return err
			}
			const together = 1000
			list := make([]string, together)
			for n := 0; n < a.count(short, long); n += together {
				for i := range list {
					list[i] = strings.ReplaceAll(packet, "N", fmt.Sprint(n+i))
				}
				if err := s.say(list...); err != nil {
					return err
				}
			}
			return nil
		}}
	}
	return []Family{
		{"names of events", "socket.io CVE-2024-38355; prototype pollution, CWE-1321", engines, named(`427["NAME","x"]`)},
		{"names of users", "prototype pollution; injection", engines, named(`427["login","NAME","NAME"]`)},
		{"names of rooms", "prototype pollution; injection", engines, named(`427["subscribe","NAME"]`)},
		{"arguments of logins", "", engines, logins},
		{"events without end", "event flood", engines, []Input{
			repeated("that nobody knows", `42["x",N]`, 5000, 200_000), repeated("with acknowledgements", `42N["x"]`, 5000, 200_000), repeated("logins", `42N["login","u-N"]`, 5000, 200_000), repeated("logins and logouts", `42N["logout"]`, 5000, 200_000),
			repeated("rooms", `42N["subscribe","r-N"]`, 5000, 200_000), repeated("answers", `43N["x"]`, 5000, 200_000),
		}},
		one("events by a client that never reads the answers", "slow consumer", []Way{ws4, ws3, up4, up3, wss4}, func(a *Attacker, w Way) error {
			s, err := a.join(w)
			if err != nil {
				return err
			}
			return s.sock.flood(frame(finText, `427["login","x"]`), a.count(50_000, 1_000_000))
		}),
		one("sessions that come and go", "socket.io, churn", engines, func(a *Attacker, w Way) error {
			for range a.count(50, 2000) {
				s, err := a.join(w)
				if err != nil {
					return err
				}
				if err := s.say(`427["login","mallory"]`, "41", "1"); err != nil {
					return err
				}
			}
			return a.Close()
		}),
	}
}

var errNoScript = errors.New("the answer can be taken for a script or a page")
