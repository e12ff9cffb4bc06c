package wsconn

import "testing"

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
