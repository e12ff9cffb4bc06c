package wsconn

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestNegotiate(t *testing.T) {
	const usual = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	const windowed = usual + "; server_max_window_bits=15"
	tests := []struct {
		name   string
		fields []string
		want   string
	}{
		{"nothing", nil, ""},
		{"an empty field", []string{""}, ""},
		{"Firefox, Safari, OkHttp", []string{"permessage-deflate"}, usual},
		{"Chromium, ws", []string{"permessage-deflate; client_max_window_bits"}, usual},
		{"Java-WebSocket", []string{"permessage-deflate; server_no_context_takeover; client_no_context_takeover"}, usual},
		{"no spaces", []string{"permessage-deflate;client_max_window_bits=10"}, usual},
		{"spaces and tabs", []string{" \tpermessage-deflate ;\t client_max_window_bits = 10 "}, usual},
		{"a value in quotation marks", []string{`permessage-deflate; client_max_window_bits="10"`}, usual},
		{"and with a backslash", []string{`permessage-deflate; client_max_window_bits="1\0"`}, usual},
		{"the largest window", []string{"permessage-deflate; server_max_window_bits=15"}, windowed},
		{"both windows", []string{"permessage-deflate; client_max_window_bits=8; server_max_window_bits=15"}, windowed},
		{"a smaller window", []string{"permessage-deflate; server_max_window_bits=14"}, ""},
		{"a smaller window, and without", []string{"permessage-deflate; server_max_window_bits=10, permessage-deflate; client_max_window_bits"}, usual},
		{"a smaller window, and the largest", []string{"permessage-deflate; server_max_window_bits=10, permessage-deflate; server_max_window_bits=15"}, windowed},
		{"a smaller window, and without, in two fields", []string{"permessage-deflate; server_max_window_bits=10", "permessage-deflate"}, usual},
		{"the first that can be met", []string{"permessage-deflate, permessage-deflate; server_max_window_bits=15"}, usual},
		{"behind another extension", []string{"x-webkit-deflate-frame, permessage-bzip2; a=1; b, permessage-deflate"}, usual},
		{"before another extension", []string{"permessage-deflate, x-webkit-deflate-frame"}, usual},
		{"other extensions", []string{"x-webkit-deflate-frame, permessage-bzip2"}, ""},
		{"a longer name", []string{"permessage-deflate2, xpermessage-deflate"}, ""},
		{"another case", []string{"Permessage-Deflate"}, ""},
		{"empty elements", []string{",, permessage-deflate ,,", ","}, usual},
		{"a parameter that nobody knows", []string{"permessage-deflate; server_max_window"}, ""},
		{"a parameter in another case", []string{"permessage-deflate; Client_Max_Window_Bits"}, ""},
		{"no_context_takeover with a value", []string{"permessage-deflate; server_no_context_takeover=1"}, ""},
		{"the client's with a value", []string{"permessage-deflate; client_no_context_takeover=true"}, ""},
		{"the server's window without a value", []string{"permessage-deflate; server_max_window_bits"}, ""},
		{"the server's window of 7 bits", []string{"permessage-deflate; server_max_window_bits=7"}, ""},
		{"the server's window of 16 bits", []string{"permessage-deflate; server_max_window_bits=16"}, ""},
		{"the server's window with a zero", []string{"permessage-deflate; server_max_window_bits=015"}, ""},
		{"the client's window of 7 bits", []string{"permessage-deflate; client_max_window_bits=7"}, ""},
		{"the client's window of 16 bits", []string{"permessage-deflate; client_max_window_bits=16"}, ""},
		{"the client's window of 1 bit", []string{"permessage-deflate; client_max_window_bits=1"}, ""},
		{"the client's window of 100 bits", []string{"permessage-deflate; client_max_window_bits=100"}, ""},
		{"the client's window with a zero", []string{"permessage-deflate; client_max_window_bits=08"}, ""},
		{"the client's window below zero", []string{"permessage-deflate; client_max_window_bits=-8"}, ""},
		{"the client's window in letters", []string{"permessage-deflate; client_max_window_bits=ten"}, ""},
		{"the same twice", []string{"permessage-deflate; client_max_window_bits; client_max_window_bits"}, ""},
		{"the same twice, with another value", []string{"permessage-deflate; client_max_window_bits; client_max_window_bits=10"}, ""},
		{"no_context_takeover twice", []string{"permessage-deflate; server_no_context_takeover; server_no_context_takeover"}, ""},
		{"the server's window twice", []string{"permessage-deflate; server_max_window_bits=15; server_max_window_bits=15"}, ""},
		{"declined, and then good", []string{"permessage-deflate; x, permessage-deflate; y=1, permessage-deflate"}, usual},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := negotiate(tt.fields); got != tt.want || err != nil {
				t.Errorf("negotiate(%q) = %q, %v; want %q", tt.fields, got, err, tt.want)
			}
		})
	}
	for name, field := range map[string]string{
		"no name":              "; client_max_window_bits",
		"no parameter":         "permessage-deflate;",
		"no parameter between": "permessage-deflate;; client_max_window_bits",
		"no value":             "permessage-deflate; client_max_window_bits=",
		"an empty value":       `permessage-deflate; client_max_window_bits=""`,
		"an open value":        `permessage-deflate; client_max_window_bits="10`,
		"a value of two words": `permessage-deflate; client_max_window_bits="1 0"`,
		"a backslash at last":  `permessage-deflate; client_max_window_bits="10\`,
		"two names":            "permessage-deflate permessage-deflate",
		"two values":           "permessage-deflate; client_max_window_bits=10 11",
		"a value of the name":  "permessage-deflate=1",
		"a slash":              "permessage/deflate",
		"not ASCII":            "permessage-deflaté",
		"behind a good offer":  "permessage-deflate, ;",
		"of another extension": "permessage-deflate, x; =",
		"no grammar":           `;;;===,,,"`,
		"brackets":             "permessage-deflate (a comment)",
		"a control character":  "permessage-deflate\x00",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := negotiate([]string{field}); err == nil {
				t.Errorf("negotiate(%q) = %q, want an error", field, got)
			}
		})
	}
}

// byTheGrammar is negotiate in other words: fields that the grammar of RFC 6455 §9.1 takes can be cut at commas and semicolons, as a value in quotation
// marks has to be a token, too.
func byTheGrammar(fields []string) (answer string, ok bool) {
	all := strings.Join(fields, ",")
	if !extensionGrammar.MatchString(all) {
		return "", false
	}
	for _, one := range strings.Split(all, ",") {
		parts := strings.Split(one, ";")
		if strings.Trim(parts[0], " \t") != "permessage-deflate" {
			continue
		}
		windows, seen, good := "", map[string]bool{}, true
		for _, part := range parts[1:] {
			name, value, has := strings.Cut(part, "=")
			name, value = strings.Trim(name, " \t"), strings.NewReplacer(`"`, "", `\`, "").Replace(strings.Trim(value, " \t"))
			good = good && !seen[name]
			seen[name] = true
			switch {
			case (name == "server_no_context_takeover" || name == "client_no_context_takeover") && !has:
			case name == "client_max_window_bits" && (!has || slices.Contains([]string{"8", "9", "10", "11", "12", "13", "14", "15"}, value)):
			case name == "server_max_window_bits" && value == "15":
				windows = "; server_max_window_bits=15"
			default:
				good = false
			}
		}
		if good {
			return "permessage-deflate; server_no_context_takeover; client_no_context_takeover" + windows, true
		}
	}
	return "", true
}

var extensionGrammar = func() *regexp.Regexp {
	const char = "[!#$%&'*+.^_`|~0-9A-Za-z-]"
	const extension = "[ \t]*" + char + "+(?:[ \t]*;[ \t]*" + char + "+(?:[ \t]*=[ \t]*(?:" + char + `+|"(?:\\?` + char + `)+"))?)*[ ` + "\t]*"
	return regexp.MustCompile("^(?:" + extension + "|[ \t]*)(?:,(?:" + extension + "|[ \t]*))*$")
}()

// FuzzNegotiate looks for an offer that is answered otherwise than by the grammar, in one field and in two.
func FuzzNegotiate(f *testing.F) {
	for _, field := range []string{
		"permessage-deflate; client_max_window_bits", `permessage-deflate;server_max_window_bits="1\5" , x;y=z,,`, "permessage-deflate; server_max_window_bits=10, permessage-deflate",
		`a;b="c,d"`, `a;b="";`, "a b", "a;b=\"c\\", "permessage-deflate\t;\tclient_max_window_bits = 8\t", "a;b = \"c\"d", "é", "\x00", "a;b=c=d", "a=b", ",", " ", "",
		"permessage-deflate;client_no_context_takeover=1", "permessage-deflate;server_max_window_bits", "permessage-deflate;client_max_window_bits;client_max_window_bits=9",
	} {
		f.Add(field, "permessage-deflate")
		f.Add("x", field)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		for _, fields := range [][]string{{first}, {first, second}} {
			want, ok := byTheGrammar(fields)
			if got, err := negotiate(fields); got != want || (err == nil) != ok {
				t.Errorf("negotiate(%q) = %q, %v; want %q, %v", fields, got, err, want, ok)
			}
		}
	})
}
