package configs

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
)

func TestLimitedKeys(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "one", "\n from-file \n")
	tests := []struct {
		name, yaml string
		plain      []string
		limited    []APIKey
	}{
		{"key alone", "[{key: a}]", nil, []APIKey{{Key: "a"}}},
		{
			"all of it", "[p, {key: a, rights: [push, read], audience: shop-, rate: 100/s}, q]",
			[]string{"p", "q"},
			[]APIKey{{Key: "a", Rights: []string{"push", "read"}, Audience: "shop-", Rate: 100}},
		},
		{"rights as text", "[{key: a, rights: 'admin, read'}]", nil, []APIKey{{Key: "a", Rights: []string{"admin", "read"}}}},
		{"rates", "[{key: a, rate: 6000/m}, {key: b, rate: 2.5}, {key: c, rate: 1/m}]", nil, []APIKey{{Key: "a", Rate: 100}, {Key: "b", Rate: 2.5}, {Key: "c", Rate: 1.0 / 60}}},
		{"key_file", "[{key_file: one, rate: 1}]", nil, []APIKey{{Key: "from-file", Rate: 1}}},
		{"anchors", "[&k {key: a, rights: &r [push]}, {key: b, rights: *r}]", nil, []APIKey{{Key: "a", Rights: []string{"push"}}, {Key: "b", Rights: []string{"push"}}}},
		{"an audience of spaces and signs", "[{key: a, audience: ' #é: '}]", nil, []APIKey{{Key: "a", Audience: " #é: "}}},
		{"a key that looks odd", "['{a', {key: '{a:b}'}]", []string{"{a"}, []APIKey{{Key: "{a:b}"}}},
		{"none", "[]", nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			write(t, "c.yaml", "api: {keys: "+test.yaml+"}\n")
			loaded := load(t, "c.yaml")
			api := loaded.Config.API
			if !reflect.DeepEqual(api.Keys, test.plain) || !reflect.DeepEqual(api.Limited, test.limited) {
				t.Errorf("got %q and %+v", api.Keys, api.Limited)
			}
			if got, want := api.HasKeys(), len(test.plain)+len(test.limited) > 0; got != want {
				t.Errorf("HasKeys() = %v", got)
			}
			if got := loaded.origin(keysKey); got != "file c.yaml:1" {
				t.Errorf("from %q", got)
			}
			over := load(t, "c.yaml", "CRIER_API_KEYS=e").Config.API
			if !reflect.DeepEqual(over.Keys, []string{"e"}) || over.Limited != nil {
				t.Errorf("the environment replaces all: %q and %+v", over.Keys, over.Limited)
			}
		})
	}
}

func TestMistakesOfLimitedKeys(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "two", "sesame1\nsesame2\n")
	write(t, "bad", "sesame open\n")
	write(t, "one", "sesame\n")
	const (
		rate  = `api.keys.rate: **** must be messages a second or a minute, such as 100/s, 6000/m or 100 (a second), from 1/m to 1000000/s; without it there is no limit`
		right = `api.keys.rights: **** must be a list of push, read or admin`
		text  = `must be what names begin with: 1 to 255 bytes of text without control characters; without it there is no limit`
		twice = `api.keys: **** is given twice; once is enough`
		part  = `is not part of a key with limits`
		takes = `api.keys: **** is not part of a key with limits, which takes key, key_file, rights, audience or rate`
		long  = `must be at most 512 visible ASCII characters without a space`
	)
	tests := []struct {
		name, entries string
		want          []string // without where, which is line 2
	}{
		{"no key", "{rights: [push]}", []string{"api.keys: **** needs a key, or a key_file that holds it"}},
		{"nothing", "{}", []string{"api.keys: **** needs a key, or a key_file that holds it"}},
		{"an empty key", "{key: }", []string{"api.keys.key: is empty: say what it is, or leave it out"}},
		{"empty limits", "{key: sesame, rights: [], audience: '', rate: ~}", []string{
			"api.keys.rights: is empty: say what it is, or leave it out",
			"api.keys.audience: is empty: say what it is, or leave it out",
			"api.keys.rate: is empty: say what it is, or leave it out",
		}},
		{"commas alone", "{key: sesame, rights: ','}", []string{"api.keys.rights: **** must name at least one"}},
		{"a bad key", "{key: sesame open}", []string{"api.keys.key: **** " + long}},
		{"the mask", "{key: '****'}", []string{"api.keys.key: **** is the mask that config print shows, not a secret"}},
		{"unknown right", "{key: sesame, rights: [pusch]}", []string{right + "; did you mean push?"}},
		{"no right at all", "{key: sesame, rights: [sesame2, read]}", []string{right}},
		{"a right twice", "{key: sesame, rights: [push, push]}", []string{"api.keys.rights: **** is given twice; once is enough"}},
		{"rights of no shape", "{key: sesame, rights: {push: yes}}", []string{"api.keys.rights: must be a list, or comma-separated text"}},
		{"rights in lists", "{key: sesame, rights: [[push]]}", []string{"api.keys.rights: must have plain text for each item"}},
		{"a null right", "{key: sesame, rights: [push, ~]}", []string{right}},
		{"unknown member, near", "{key: sesame, right: [push]}", []string{"api.keys.right: " + part + "; did you mean rights?"}},
		{"unknown member, far", "{key: sesame, color: red}", []string{takes}},
		{"the key as a member", "{sesame, rights: [push]}", []string{takes, "api.keys: **** needs a key, or a key_file that holds it"}},
		{"a key like a member", "{key_sesame: }", []string{takes, "api.keys: **** needs a key, or a key_file that holds it"}},
		{"a member that is no text", "{key: sesame, [a]: b}", []string{takes}},
		{"a member twice", "{key: sesame, rate: 1, rate: 2}", []string{"api.keys.rate: is given twice in the same entry"}},
		{"both keys", "{key: sesame, key_file: one}", []string{"api.keys.key: is given twice, by itself and as a file: give one of them"}},
		{"lists for values", "{key: [sesame], audience: {a: b}, rate: [1]}", []string{
			"api.keys.key: must be one value", "api.keys.audience: must be one value", "api.keys.rate: must be one value",
		}},
		{"bad audience", `{key: sesame, audience: "a\x01"}`, []string{"api.keys.audience: **** " + text}},
		{"long audience", "{key: sesame, audience: " + strings.Repeat("a", 256) + "}", []string{"api.keys.audience: **** " + text}},
		{"a secret as rate", "{key: sesame, rate: sesame2}", []string{rate}},
		{"twice, both limited", "{key: sesame}, {key: sesame, rate: 1}", []string{twice}},
		{"twice, one plain", "{key: sesame}, sesame", []string{twice}},
		{"twice, both plain", "{key: other}, sesame, sesame", []string{twice}},
		{"twice, one in a file", "sesame, {key_file: one}", []string{twice}},
		{"text beside", "{key: other}, '{key: sesame}'", []string{"api.keys: **** " + errEntry.Error()}},
		{"no such file", "{key_file: /nowhere/key}", []string{`api.keys.key_file: "/nowhere/key" cannot be read: no such file or directory`}},
		{"a secret for its file", "{key_file: sesame}", []string{"api.keys.key_file: **** cannot be read: no such file or directory"}},
		{"two in a file", "{key_file: two}", []string{"api.keys.key_file: **** holds several lines, but an entry has one key"}},
		{"a bad key in a file", "{key_file: bad}", []string{"api.keys.key_file: **** " + long}},
		{"no path", "{key_file: ' '}", []string{"api.keys.key_file: **** must be the path of a file"}},
		{"several entries", "{key: sesame, rate: x}, {rate: 1}", []string{rate, "api.keys: **** needs a key, or a key_file that holds it"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			// One port needs keys: that they are wrong is not that there are none.
			write(t, "c.yaml", "listen: ':2121'\napi: {keys: ["+test.entries+"]}\n")
			var want []string
			for _, line := range test.want {
				want = append(want, line+" (file @:2)")
			}
			expect(t, Sources{File: "c.yaml"}, want...)
		})
	}
}

func TestPrintLimitedKeys(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "c.yaml", "api: {keys: [sesame1, {key: sesame2, rights: [push, admin], audience: 'a: #b', rate: 90/m}, {key: sesame3}, {key: sesame4, rate: 100, audience: '7'}]}\n")
	loaded := load(t, "c.yaml")
	var out bytes.Buffer
	if err := loaded.Print(&out); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), secretText) {
		t.Errorf("a secret is printed:\n%s", out.String())
	}
	const want = `  keys: ['****', {key: '****', rights: [push, admin], audience: 'a: #b', rate: 90/m}, {key: '****'}, {key: '****', audience: "7", rate: 100/s}] # file c.yaml:1`
	if !strings.Contains(out.String(), want) {
		t.Errorf("lacks\n%s\nin\n%s", want, out.String())
	}

	// With the secrets put back it loads again.
	safe := out.String()
	for _, key := range []string{"sesame1", "sesame2", "sesame3", "sesame4"} {
		safe = strings.Replace(safe, "'****'", key, 1)
	}
	write(t, "again.yaml", safe)
	if again := load(t, "again.yaml"); !reflect.DeepEqual(again.Config, loaded.Config) {
		t.Error(difference(t, again.Config, loaded.Config))
	}
}

func TestParseRate(t *testing.T) {
	tests := []struct {
		text string
		want float64 // 0: an error
	}{
		{"100/s", 100},
		{"100", 100},
		{"6000/m", 100},
		{"90/m", 1.5},
		{"0.5/s", 0.5},
		{".5", 0.5},
		{"1/m", 1.0 / 60},
		{"1000000/s", 1000000},
		{"60000000/m", 1000000},
		{"0", 0},
		{"0/s", 0},
		{"0.01", 0},
		{"0.9/m", 0},
		{"1000001", 0},
		{"60000001/m", 0},
		{"", 0},
		{".", 0},
		{"/s", 0},
		{"-1", 0},
		{"+1", 0},
		{"1e3", 0},
		{"0x10", 0},
		{"1_000", 0},
		{"inf", 0},
		{"NaN", 0},
		{"1/h", 0},
		{"1/s/m", 0},
		{"1/m/s", 0},
		{"1 /s", 0},
		{"1/S", 0},
		{"1/sec", 0},
		{"1s", 0},
		{"1.2.3", 0},
		{strings.Repeat("9", 400), 0},
	}
	for _, test := range tests {
		got, err := parseRate(test.text)
		if got != test.want || (err != nil) != (test.want == 0) {
			t.Errorf("parseRate(%q) = %v, %v, want %v", test.text, got, err, test.want)
		}
	}
}

// FuzzRate: what parses is within its bounds, and is the same after formatting and parsing.
func FuzzRate(f *testing.F) {
	for _, seed := range []string{"100/s", "6000/m", "7/m", "0.1", "16.7/m", "59.999999/m", "333333.3333333", "1e9", "-1", "/", "1000000"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rate, err := parseRate(text)
		if err != nil {
			return
		}
		if rate < 1.0/60 || rate > mostRate || math.IsNaN(rate) {
			t.Fatalf("parseRate(%q) = %v", text, rate)
		}
		if again, err := parseRate(formatRate(rate)); err != nil || again != rate {
			t.Fatalf("%q → %v → %q → %v, %v", text, rate, formatRate(rate), again, err)
		}
	})
}
