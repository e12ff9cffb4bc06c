package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// resource is one prepared answer. It never changes after newResource, which leaves the compression to the first client
// that takes it: that of the client scripts takes longer than all else that a start does.
type resource struct {
	header http.Header // without Content-Length, Content-Encoding
	etag   string      // quoted
	plain  []byte
	gzip   func() []byte // nil when it would not be smaller
}

// newResource prepares body. An empty etag is derived from the body.
func newResource(body []byte, etag string, header map[string]string) *resource {
	if etag == "" {
		sum := sha256.Sum256(body)
		etag = `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	}
	r := &resource{header: http.Header{}, etag: etag, plain: body, gzip: sync.OnceValue(func() []byte { return compress(body) })}
	r.header.Set("ETag", etag)
	r.header.Set("X-Content-Type-Options", "nosniff")
	for k, v := range header {
		r.header.Set(k, v)
	}
	r.header.Add("Vary", "Accept-Encoding")
	return r
}

// compress returns body compressed, or nil when that is not smaller.
func compress(body []byte) []byte {
	var buf bytes.Buffer
	zw, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err == nil {
		_, err = zw.Write(body)
	}
	if err == nil {
		err = zw.Close()
	}
	if err != nil || buf.Len() >= len(body) { // into memory, it does not fail
		return nil
	}
	return buf.Bytes()
}

// serve answers a GET or HEAD: 304 when the client has this version, else the
// body in the encoding it takes.
func (res *resource) serve(w http.ResponseWriter, r *http.Request, log *slog.Logger) {
	h := w.Header()
	for k, v := range res.header {
		h[k] = v
	}
	if etagMatches(r.Header.Values("If-None-Match"), res.etag) {
		h.Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := res.plain
	if acceptsGzip(r.Header.Values("Accept-Encoding")) {
		if small := res.gzip(); small != nil {
			body = small
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	if _, err := w.Write(body); err != nil {
		log.Debug("answer not taken", "path", r.URL.Path, "error", err)
	}
}

// etagMatches is the weak comparison of If-None-Match, RFC 9110 §13.1.2. A weak
// tag matches too: a proxy that compresses weakens ours.
func etagMatches(header []string, etag string) bool {
	for _, line := range header {
		for tag := range strings.SplitSeq(line, ",") {
			tag = strings.TrimSpace(tag)
			if tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
				return true
			}
		}
	}
	return false
}

// acceptsGzip reads Accept-Encoding, RFC 9110 §12.5.3, as far as gzip goes.
func acceptsGzip(header []string) bool {
	named, wildcard := -1.0, -1.0
	for name, q := range qualities(header) {
		switch name {
		case "gzip", "x-gzip":
			named = q
		case "*":
			wildcard = q
		}
	}
	return named > 0 || (named < 0 && wildcard > 0)
}
