package attack

import (
	"errors"
	"fmt"
	"strings"
)

// calls is an input: a request of the push port.
func calls(name, method, path, body string, want func(answer) error) Input {
	return Input{name, func(a *Attacker, w Way) error {
		r, err := a.ask(w, head(method, path, "Content-Type: application/json", fmt.Sprintf("Content-Length: %d", len(body)))+body)
		if err != nil {
			return err
		}
		return want(r)
	}}
}

// pushes are attacks by callers of the push port.
func pushes() []Family {
	const urlencoded, multipart, object = "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "application/json"
	part := "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n"
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	fields := func(name, query string) Input { return carries(name, isSound, urlencoded, query) }
	body := func(name, text string) Input { return carries(name, isRefused, object, text) }
	var names []Input
	for _, name := range []string{"__proto__", "%00", "..%2f..%2fetc", "%ff", strings.Repeat("a", 20_000), "a/b/c", "%0d%0aX-Evil:1", "%2e%2e", "*", "%F0%9F%98%80"} {
		for _, path := range []string{"/v1/users/", "/v1/rooms/", "/v1/messages/", "/v1/schedules/", "/v1/webhooks/", "/docs/", "/debug/pprof/", "/admin/"} {
			names = append(names, calls(path+name[:min(len(name), 20)], "GET", path+name, "", unsplit))
		}
		names = append(names, calls("a membership of "+name[:min(len(name), 20)], "PUT", "/v1/rooms/"+name+"/users/"+name, "", unsplit))
	}
	var receivers []Input
	for _, name := range hostileNames {
		receivers = append(receivers, carries(name[:min(len(name), 30)], isSound, object, `{"to":{"users":["`+name+`"],"rooms":["`+name+`"]},"event":"`+name+`","data":"`+name+`"}`))
	}
	return []Family{
		{"fields of a form", "PHP max_input_vars, hash collisions CVE-2011-4885", []Way{form}, []Input{
			fields("300,000", strings.Repeat("a=1&", 300_000)), fields("300,000 receivers", "type=publish&content=x"+strings.Repeat("&to[]=nobody", 300_000)), fields("only separators", strings.Repeat("&", 1_000_000)), fields("only equal signs", strings.Repeat("=", 1_000_000)),
			fields("a name of a megabyte", strings.Repeat("a", 1<<20)+"=1"), fields("no receiver that is text", "type=publish&to[a][b]=1&content=x"), fields("__proto__", "__proto__[type]=publish&type=publish&to=__proto__&content=x"), fields("constructor", "constructor[prototype][to]=x&type=publish&to=constructor&content=constructor"),
		}},
		{"brackets of a form", "PHP max_input_nesting_level", []Way{form}, []Input{
			fields("100,000 that open", "type=publish&to"+strings.Repeat("[", 100_000)+"=x&content=x"), fields("100,000 that open and close", "type=publish&to"+strings.Repeat("[]", 100_000)+"=x&content=x"), fields("one that never closes", "type=publish&to[0=x&content=x"),
			fields("a number over 64 bits", "type=publish&to[99999999999999999999]=nobody&content=x"), fields("a NUL", "type=publish&to%00[]=x&content=x"), fields("only brackets", "[]=x&][=y&[=z"),
		}},
		{"escapes of a form", "", []Way{form}, []Input{
			fields("broken", "type=publish&to=nobody&content=%zz%1%"), fields("a megabyte of them", "type=publish&to=nobody&content="+strings.Repeat("%41", 300_000)), fields("bytes that are no text", "type=publish&to=nobody&content=%ff%fe%c3"), fields("a NUL", "type=publish&to=no%00body&content=%00"),
			fields("what htmlspecialchars makes six times as long", "type=publish&to=nobody&content="+strings.Repeat("\"", 900_000)), fields("a surrogate", "type=publish&to=nobody&content=%ed%a0%80"),
		}},
		{"multipart", "Go CVE-2023-24536, CVE-2022-41725, CVE-2026-94440; multer CVE-2022-24434", []Way{form}, []Input{
			carries("no end", isSound, multipart, part), carries("100,000 parts", isSound, multipart, strings.Repeat(part, 100_000)+"--b--\r\n"), carries("a part with a long header", isSound, multipart, "--b\r\nX-a: "+strings.Repeat("x", 1<<20)+"\r\n\r\nx\r\n--b--\r\n"),
			carries("a part with 10,000 headers", isSound, multipart, "--b\r\n"+strings.Repeat("X-a: b\r\n", 10_000)+"\r\nx\r\n--b--\r\n"), carries("a boundary of nothing", isSound, "multipart/form-data; boundary=", part), carries("a long boundary", isSound, "multipart/form-data; boundary="+strings.Repeat("b", 20_000), part),
			carries("a boundary in a boundary", isSound, multipart, strings.Repeat("--b", 200_000)), carries("parts in parts", isSound, multipart, "--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b--\r\n"), carries("a name that is none", isSound, multipart, "--b\r\nContent-Disposition: form-data; name*=utf-8''%zz; name=\"\\\"\r\n\r\nx\r\n--b--\r\n"),
			carries("a line of a header without end, where little more is allowed", isSound, multipart, strings.Repeat("--b\r\nX-a: "+strings.Repeat("x", 20_000)+"\r\n\r\nx\r\n", 520)+"--b\r\nX-b: "+strings.Repeat("y", 5<<20)+"\r\n\r\nx\r\n--b--\r\n"),
			carries("files", isSound, multipart, "--b\r\nContent-Disposition: form-data; name=\"type\"; filename=\"../../x\"\r\n\r\npublish\r\n--b--\r\n"),
		}},
		{"JSON in place of a form", "", []Way{form}, []Input{
			carries("deep", isSound, object, `{"type":"publish","to":`+deep(100_000)+`}`), carries("a list", isSound, object, `["publish"]`), carries("no JSON", isSound, object, `{"type":`), carries("numbers", isSound, object, `{"type":"publish","to":1e400,"content":-0}`), carries("__proto__", isSound, object, `{"__proto__":{"type":"publish"},"to":"nobody"}`), carries("names twice", isSound, object, `{"type":"x","type":"publish","to":"nobody","content":"x"}`),
		}},
		{"pushes that are none", "RFC 8259", []Way{push}, []Input{
			body("deep", `{"to":{"users":["nobody"]},"data":`+deep(100_000)+`}`), body("deep objects", strings.Repeat(`{"to":`, 100_000)), body("a list", `[]`), body("null", `null`), body("nothing", ``), body("cut", `{"to":{"users":["a"`), body("no UTF-8", "{\"to\":{\"users\":[\"\xff\"]},\"data\":1}"),
			body("users that are an object", `{"to":{"users":{"0":"a"}},"data":1}`), body("all that is text", `{"to":{"all":"yes"},"data":1}`), body("an acknowledgement in years", `{"to":{"users":["nobody"]},"data":1,"ack":"9999999h"}`), body("a time that is none", `{"to":{"users":["nobody"]},"data":1,"ttl":"1e99s"}`),
			body("a negative time", `{"to":{"users":["nobody"]},"data":1,"ttl":"-5s"}`), body("both data and args", `{"to":{"users":["nobody"]},"data":1,"args":[1]}`), body("binary data that is none", `{"to":{"users":["nobody"]},"args":[{"$binary":"!"}]}`), body("a long id", `{"id":"`+strings.Repeat("i", 100_000)+`","to":{"users":["nobody"]},"data":1}`),
			body("an event that the clients keep for themselves", `{"to":{"users":["nobody"]},"event":"disconnect","data":1}`), body("a name of 100,000 letters", `{"to":{"users":["`+strings.Repeat("u", 100_000)+`"]},"data":1}`), body("a name with a NUL", `{"to":{"users":["a\u0000b"]},"data":1}`),
			body("names that nobody knows", `{"to":{"users":["nobody"]},"data":1,"__proto__":{"ack":"1s"}}`), body("a message over the limit", `{"to":{"users":["nobody"]},"data":"`+strings.Repeat("x", 1_000_001)+`"}`),
			carries("numbers without end", isSound, object, `{"to":{"users":["nobody"]},"data":[1e999,`+strings.Repeat("9", 500_000)+`]}`), carries("lone surrogates", isSound, object, `{"to":{"users":["nobody"]},"data":"\ud800"}`), carries("names twice", isSound, object, `{"to":{"users":["nobody"]},"to":{"users":["nobody"]},"data":1,"data":2}`),
		}},
		{"names of receivers", "prototype pollution; injection", []Way{push}, receivers},
		{"audiences", "", []Way{push}, []Input{
			carries("100,000 users", isSound, object, `{"to":{"users":["nobody"`+strings.Repeat(`,"nobody"`, 100_000)+`]},"data":1}`), carries("exceptions of 100,000", isSound, object, `{"to":{"users":["nobody"],"except":{"rooms":["r"`+strings.Repeat(`,"r"`, 100_000)+`]}},"data":1}`),
			carries("exceptions in exceptions", isSound, object, `{"to":{"users":["nobody"],"except":{"except":{"except":{}}}},"data":1}`), carries("nobody at all", isSound, object, `{"to":{},"data":1}`),
		}},
		{"names in paths", "path traversal, CWE-22", []Way{push}, names},
		{"cursors", "", []Way{push}, []Input{
			calls("of users", "GET", "/v1/users?limit=99999999999999999999&cursor=%00", "", isSound), calls("of rooms", "GET", "/v1/rooms?limit=-1&cursor="+strings.Repeat("a", 20_000), "", isSound), calls("of members", "GET", "/v1/rooms/a?cursor=__proto__&limit=1e9", "", isSound), calls("of callbacks", "GET", "/v1/webhooks/dead?after=%ff", "", isSound),
		}},
		{"schedules", "cron, ReDoS; dates", []Way{push}, []Input{
			plans("a cron that never is", `"cron":"0 0 31 2 *"`), plans("a cron that is none", `"cron":"* * * * * * * *"`), plans("a long cron", `"cron":"`+strings.Repeat("1,", 50_000)+`1 * * * *"`), plans("steps of nothing", `"cron":"*/0 * * * *"`), plans("a zone that is none", `"cron":"* * * * *","timezone":"../../etc/passwd"`),
			plans("every nanosecond", `"every":"1ns"`), plans("a negative delay", `"delay":"-1h"`), plans("the year 292277026596", `"at":"292277026596-12-04T15:30:08Z"`), plans("the year 0", `"at":"0000-01-01T00:00:00Z"`), plans("all at once", `"at":"2030-01-01T00:00:00Z","every":"1s","cron":"* * * * *"`), plans("runs over 64 bits", `"every":"1s","max_runs":99999999999999999999`),
		}},
		{"keys", "timing; header injection", []Way{push, form, board, live}, []Input{
			{"wrong ones, again and again", func(a *Attacker, w Way) error {
				for n := range a.count(200, 20_000) {
					r, err := a.ask(w, head("GET", "/v1/stats", fmt.Sprintf("Authorization: Bearer wrong-%d", n), "Connection: close"))
					if err := errors.Join(err, r.sound()); err != nil {
						return err
					}
				}
				return nil
			}},
			asks("a long one", isSound, head("GET", "/v1/stats", "X-Api-Key: "+strings.Repeat("k", 50_000))), asks("many", isSound, head("GET", "/v1/stats", "Authorization: Bearer a", "Authorization: Bearer b", "X-Api-Key: c")), asks("bytes", isSound, head("GET", "/v1/stats", "Authorization: Bearer \xff\xfe")),
			asks("an address that is believed", isSound, head("GET", "/v1/stats", "X-Forwarded-For: 127.0.0.1, ::1, "+strings.Repeat("1,", 10_000), "Forwarded: for=127.0.0.1")),
		}},
	}
}

// plans is an input: a schedule that cannot be, or should not.
func plans(name, when string) Input {
	return calls(name, "POST", "/v1/schedules", `{"push":{"to":{"users":["nobody"]},"data":1},`+when+`}`, isRefused)
}

// lines are attacks by lasting connections of callers.
func lines() []Family {
	const good = `{"to":{"users":["nobody"]},"data":1}`
	ndjson := func(name string, body string) Input { return carries(name, isSound, "application/x-ndjson", body) }
	return []Family{
		{"lines", "NDJSON; Phoenix CVE-2026-32689", []Way{batch}, []Input{
			ndjson("one of 15 MB", strings.Repeat("x", 15<<20)), ndjson("500,000 of nothing", strings.Repeat("\n", 500_000)), ndjson("100,000 that are none", strings.Repeat("x\n", 100_000)), ndjson("deep", strings.Repeat("[", 100_000)+"\n"+good), ndjson("without the last end", good), ndjson("with other ends", good+"\r\n"+good+"\r"+good),
			carries("a list of 20,000", isSound, "application/json", "["+good+strings.Repeat(","+good, 20_000)+"]"), carries("a list of lists", isSound, "application/json", strings.Repeat("[", 50_000)), carries("a list without end", isSound, "application/json", "["+strings.Repeat(good+",", 1000)),
		}},
		one("lines whose answers nobody reads", "slow consumer", []Way{batch}, func(a *Attacker, w Way) error {
			c, err := a.dial(w)
			if err != nil {
				return err
			}
			if err := c.say(head("POST", w.Path, "Content-Type: application/x-ndjson", "Content-Length: 1000000000")); err != nil {
				return err
			}
			return c.flood([]byte(good+"\n"), a.count(20_000, 1_000_000))
		}),
		one("messages of a stream whose answers nobody reads", "slow consumer", []Way{stream}, func(a *Attacker, w Way) error {
			c, err := a.webSocket(w)
			if err != nil {
				return err
			}
			return c.flood(frame(finText, good), a.count(20_000, 1_000_000))
		}),
		{"messages of a stream", "", []Way{stream}, []Input{
			sends("no JSON", false, frame(finText, "hello")), sends("deep", false, frame(finText, strings.Repeat("[", 100_000))), sends("binary data", false, frame(finBinary, "\x00\xff")), sends("nothing", false, frame(finText, "")), sends("lines in a message", false, frame(finText, good+"\n"+good)),
		}},
	}
}
