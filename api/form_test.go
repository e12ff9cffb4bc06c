package api

import (
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// phpView is a form as testdata/parse_str.php shows it.
func phpView(f *form) map[string]any {
	show := func(v *variable) any {
		switch {
		case v.invalid != "":
			return false
		case v.values != nil:
			list := []any{}
			for _, s := range v.values.values {
				list = append(list, base64.StdEncoding.EncodeToString(s))
			}
			return list
		case v.set:
			return base64.StdEncoding.EncodeToString(v.text)
		}
		return nil
	}
	return map[string]any{"any": f.any, "type": show(&f.typ), "to": show(&f.to), "content": show(&f.content), "key": show(&f.key)}
}

func TestParseQueryAsPHP(t *testing.T) {
	queries := []string{
		"", "&&", "=", "=1", "a", "to", "to=", "to=1&to=2", "to[]=1", "to[]=1&to[]=2", "to=1&to[]=2", "to[]=1&to=2", "to[0]=a&to[0]=b",
		"to[]=a&to[5]=b&to[]=c&to[6]=d", "to[x]=a&to[05]=b&to[]=c", "to[a][b]=1", "to[[]=1", "to[]]=1", "to[=1", "[to]=1", "to[ ]=a&to[ 1]=b",
		" to=1", "+to=1", "to =1", "to.=1", "TO=1", "to%5B%5D=1&to%5b1%5D=2", "t%6f=1", "to%00x=1", "to=%00", "to=a+b%2bc%", "to=%4", "to=%zz%41",
		"to=1;type=2", "content=a=b=c", "content=%F0%9F%98", "type=publish&to=u1&content=%3Cb%3E&key=k",
	}
	const seed = 2122
	random := rand.New(rand.NewPCG(seed, seed))
	pieces := []string{
		"to", "to", "type", "content", "key", "[", "]", "[]", "[0]", "[1]", "[a]", "=", "=", "&", "&", "+", " ", "%5B", "%5D", "%41", "%", "%2",
		"%00", "0", "1", "a", ".", "_", ";", "é", "%ff",
	}
	for len(queries) < 1500 {
		var q strings.Builder
		for range 1 + random.IntN(14) {
			q.WriteString(pieces[random.IntN(len(pieces))])
		}
		if decoded := string(unescape([]byte(q.String()))); strings.Contains(decoded, "][") {
			continue // arrays within arrays, which nothing here uses
		}
		queries = append(queries, q.String())
	}
	var stdin strings.Builder
	for _, q := range queries {
		stdin.WriteString(base64.StdEncoding.EncodeToString([]byte(q)) + "\n")
	}
	out := lines(php(t, stdin.String(), "-n", "testdata/parse_str.php"))
	if len(out) != len(queries) {
		t.Fatalf("php answered %d lines to %d queries", len(out), len(queries))
	}
	for i, q := range queries {
		var want map[string]any
		if err := json.Unmarshal([]byte(out[i]), &want); err != nil {
			t.Fatal(err)
		}
		var f form
		f.parseQuery([]byte(q))
		if got := phpView(&f); !reflect.DeepEqual(got, want) {
			t.Errorf("%q gives %v, PHP %v", q, got, want)
		}
	}
}

func TestTooManyUsers(t *testing.T) {
	var f form
	f.parseQuery([]byte(strings.Repeat("to[]=u&", maxUsers)))
	if f.to.invalid != "" || len(f.to.values.values) != maxUsers {
		t.Errorf("%d users: %d, %q", maxUsers, len(f.to.values.values), f.to.invalid)
	}
	f.parseQuery([]byte(strings.Repeat("to[]=u&", 1)))
	if f.to.invalid == "" || len(f.to.values.values) != maxUsers {
		t.Errorf("one more: %d, %q", len(f.to.values.values), f.to.invalid)
	}
	list := jsonUsers([]byte("[" + strings.Repeat("1,", maxUsers) + "1]"))
	if list.invalid == "" || len(list.values.values) != maxUsers {
		t.Errorf("JSON: %d, %q", len(list.values.values), list.invalid)
	}
}

func FuzzParseBody(f *testing.F) {
	f.Add("application/x-www-form-urlencoded", []byte("type=publish&to[]=a&to[x]=b&content=%3C+%zz"))
	f.Add("application/json", []byte(`{"type":"publish","to":["a",1,{}],"content":"\u003c","x":[[[]]]}`))
	f.Add("multipart/form-data; boundary=b", []byte("--b\r\nContent-Disposition: form-data; name=\"to[]\"\r\n\r\nu1\r\n--b--\r\n"))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		var first, second form
		one := first.parseBody(contentType, append([]byte(nil), body...))
		two := second.parseBody(contentType, append([]byte(nil), body...))
		if (one == nil) != (two == nil) {
			t.Fatalf("once %v, once %v", one, two)
		}
		if !first.any && !reflect.DeepEqual(first, form{}) {
			t.Fatalf("variables without any: %+v", first)
		}
		for _, v := range []*variable{&first.typ, &first.to, &first.content, &first.key} {
			if !v.set && (v.text != nil || v.values != nil || v.invalid != "") {
				t.Fatalf("an unset variable has a value: %+v", v)
			}
		}
		users, bad := audience(&first.to, new([1]string))
		if bad == nil && users == nil && len(first.to.text) > 0 {
			t.Fatalf("%q became everybody", first.to.text)
		}
	})
}
