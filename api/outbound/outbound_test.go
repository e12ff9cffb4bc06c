package outbound

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const canary = "p4ssw0rd"

func TestNew(t *testing.T) {
	for _, test := range []struct{ name, address, shown, wrong string }{
		{"https", "https://shop.example/hook", "https://shop.example/hook", ""},
		{"everything", " http://user:" + canary + "@shop.example:80/hook?key=" + canary + "#" + canary + "\n", "http://shop.example:80/hook", ""},
		{"nothing", " ", "", "no URL given"},
		{"another scheme", "ftp://user:" + canary + "@shop.example/", "", "not of the form"},
		{"no host", "http:///" + canary, "", "not of the form"},
		{"no URL", "http://shop.example:" + canary, "", "not of the form"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, err := New(test.address, 1, nil)
			switch {
			case test.wrong == "" && err != nil:
				t.Fatal(err)
			case test.wrong == "" && e.String() != test.shown:
				t.Errorf("it shows as %s, want %s", e, test.shown)
			case test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong) || strings.Contains(err.Error(), canary)):
				t.Errorf("the error is %v, want %q in it, and no secret", err, test.wrong)
			}
		})
	}
}

func TestDo(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		name, password, _ := r.BasicAuth()
		if err != nil || name != "user" || password != canary || r.URL.RequestURI() != "/hook?key="+canary || string(body) != "ask" {
			t.Errorf("%s %s, %q %q, %q, %v", r.Method, r.URL, name, password, body, err)
		}
		if _, sent := r.Header["Idempotency-Key"]; sent || r.UserAgent() != "crier" {
			t.Errorf("headers: %v", r.Header)
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusFound)
		if _, err := io.WriteString(w, "answer"); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	e, err := New(strings.Replace(server.URL, "http://", "http://user:"+canary+"@", 1)+"/hook?key="+canary+"#part", 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.CloseIdle()
	for limit, want := range map[int64]string{6: "answer", 5: "answer", 2: "ans"} {
		req, err := e.Request(t.Context(), http.MethodPost, []byte("ask"))
		if err != nil {
			t.Fatal(err)
		}
		Repeatable(req)
		a, err := e.Do(req, limit)
		if err != nil || a.Status != http.StatusFound || string(a.Body) != want || a.Location == nil || a.Location.Path != "/elsewhere" {
			t.Errorf("up to %d bytes: %+v, %v", limit, a, err)
		}
	}
}

// An answer that breaks off has come all the same.
// Who answers with a redirect cannot have what was to be asked, or who asks, sent to somebody else: not to another host, nor
// to another port or scheme of the same, nor to the address that clouds keep their secrets at.
func TestRedirectElsewhere(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("somebody else is asked for %s, with %v", r.URL, r.Header)
	}))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{other.URL, other.URL + "/hook", "//" + strings.TrimPrefix(other.URL, "http://"), "http://169.254.169.254/latest/meta-data/", "file:///etc/passwd"} {
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked++
				w.Header().Set("Location", to)
				w.WriteHeader(status)
			}))
			e, err := New(server.URL, 1, nil)
			if err != nil {
				t.Fatal(err)
			}
			req, err := e.Request(t.Context(), http.MethodPost, []byte("ask"))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+canary)
			if a, err := e.Do(req, 100); err != nil || a.Status != status || asked != 1 {
				t.Errorf("%d to %s: asked %d times, %+v, %v", status, to, asked, a, err)
			}
			e.CloseIdle()
			server.Close()
		}
	}
}

func TestBroken(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		if _, err := io.WriteString(w, "answer"); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	e, err := New(server.URL, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.CloseIdle()
	req, err := e.Request(t.Context(), http.MethodGet, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := e.Do(req, 1000); !errors.Is(err, ErrBroken) || a.Status != http.StatusOK || string(a.Body) != "answer" {
		t.Errorf("%+v, %v", a, err)
	}
}

// Neither what cannot be reached nor what cannot be asked for shows a secret.
func TestErrors(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	e, err := New(strings.Replace(closed.URL, "http://", "http://user:"+canary+"@", 1)+"/?key="+canary, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.CloseIdle()
	req, err := e.Request(t.Context(), http.MethodPost, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := e.Do(req, 10); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("calling: %+v, %v", a, err)
	}
	if _, err := e.Request(t.Context(), "no method", nil); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("making a request: %v", err)
	}
}

func TestRedact(t *testing.T) {
	u, err := url.Parse("https://user:" + canary + "@shop.example/hook?key=" + canary + "#" + canary)
	if err != nil {
		t.Fatal(err)
	}
	if got := Redact(u); got != "https://shop.example/hook" {
		t.Errorf("got %s", got)
	}
}
