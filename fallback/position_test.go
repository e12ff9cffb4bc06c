package fallback

import "testing"

// What is read of an id that a client names is written again as the same position, and is none longer than may be named.
func FuzzPosition(f *testing.F) {
	for _, id := range []string{
		"", ".", "..", "a.1", "GBTO2LPJWL724YAOD77QRLTTZ6.3.WMMTK62GD7-0:order-7", "p.007.x:y:z", "p.+1", "p.-1", "p.9007199254740992.x",
		"p.18446744073709551616", "p.1.é", "p.1.a.b", "p.1.a\n", "\x00.1.\x00", ":1.2.3", "__proto__.1.constructor",
	} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		p := parsePosition(id)
		text := p.String()
		if again := parsePosition(text); again != p || len(text) > max(len(id), len(".0")) {
			t.Errorf("%q is read as %+v, which is written %q and read as %+v", id, p, text, again)
		}
	})
}
