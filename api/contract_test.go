package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"go.uber.org/goleak"
)

// described is what openapi.json promises. Every call of /v1 that the tests make is held against it, by do, serve and
// streaming: what the server accepts must be valid there, and every answer one that is described.
var described *contract

// TestMain also fails if openapi.json describes an answer that no test has seen.
func TestMain(m *testing.M) {
	var err error
	if described, err = newContract(openAPIDocument); err != nil {
		fmt.Fprintln(os.Stderr, "openapi.json:", err)
		os.Exit(1)
	}
	openapi3filter.RegisterBodyDecoder("text/event-stream", openapi3filter.FileBodyDecoder)
	goleak.VerifyTestMain(suite{m})
}

// suite is all tests, and a look at what they have covered.
type suite struct{ m *testing.M }

func (s suite) Run() int {
	code := s.m.Run()
	for _, name := range []string{"test.run", "test.skip", "test.list", "test.fuzz"} {
		if flag.Lookup(name).Value.String() != "" {
			return code // not all of them
		}
	}
	for _, call := range described.unseen() {
		fmt.Fprintln(os.Stderr, "openapi.json describes what no test has seen:", call)
		code = 1
	}
	return code
}

// contract is an OpenAPI document, and what of it has been seen.
type contract struct {
	doc *openapi3.T

	mu   sync.Mutex // validation is one at a time: the library caches
	seen map[string]bool
}

func newContract(document []byte) (*contract, error) {
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(context.Background(), openapi3.IsOpenAPI31OrLater()); err != nil {
		return nil, err
	}
	return &contract{doc: doc, seen: map[string]bool{}}, nil
}

// unseen are the described answers that no test has seen.
func (c *contract) unseen() []string {
	var missing []string
	for path, item := range c.doc.Paths.Map() {
		for method, operation := range item.Operations() {
			for status := range operation.Responses.Map() {
				if call := method + " " + path + " " + status; !c.seen[call] {
					missing = append(missing, call)
				}
			}
		}
	}
	slices.Sort(missing)
	return missing
}

// owners are the tests that the servers belong to.
var owners sync.Map // *Server → *owner

// owner is the test of a server, and how many calls of each kind it has made.
type owner struct {
	t     *testing.T
	calls sync.Map // method, pattern and status → *atomic.Int64
}

// again says whether so many calls like x have been checked that one more would tell nothing.
func (o *owner) again(x *exchange) bool {
	const enough = 100
	n, _ := o.calls.LoadOrStore(fmt.Sprint(x.request.Method, x.request.Pattern, x.status), new(atomic.Int64))
	made, _ := n.(*atomic.Int64)
	return made.Add(1) > enough
}

// exchange is one call, to be looked at when it is over.
type exchange struct {
	request        *http.Request // as the server has left it: with its pattern
	sent, received *bytes.Buffer
	status         int
	header         http.Header
}

// checked returns s held against the contract, but as it is if its owner is no test.
func checked(s http.Handler) http.Handler {
	server, is := s.(*Server)
	found, owned := owners.Load(server)
	if !is || !owned {
		return s
	}
	o, _ := found.(*owner)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isV1(r.URL.Path) {
			s.ServeHTTP(w, r)
			return
		}
		x := exchange{request: r, sent: &bytes.Buffer{}, received: &bytes.Buffer{}}
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(r.Body, x.sent), r.Body}
		out := &witness{ResponseWriter: w, x: &x}
		s.ServeHTTP(out, r)
		if o.again(&x) {
			return
		}
		if err := described.check(&x); err != nil {
			o.t.Errorf("%s %s is answered with %d, against openapi.json: %v\n%.300s\n%.300s", r.Method, r.URL, x.status, err, x.sent, x.received)
		}
	})
}

// witness keeps what a handler answers.
type witness struct {
	http.ResponseWriter
	x *exchange
}

// Unwrap is for [http.ResponseController].
func (w *witness) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *witness) WriteHeader(status int) {
	w.x.status, w.x.header = status, w.Header().Clone()
	w.ResponseWriter.WriteHeader(status)
}

func (w *witness) Write(p []byte) (int, error) {
	if w.x.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	w.x.received.Write(p)
	return w.ResponseWriter.Write(p)
}

// check holds a call against the contract.
func (c *contract) check(x *exchange) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	method := x.request.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	item := c.doc.Paths.Value(x.request.Pattern)
	if item == nil || item.GetOperation(method) == nil {
		return c.checkUnknown(x)
	}
	if x.status == 0 {
		x.status = http.StatusSwitchingProtocols // it took the connection away
	}
	route := &routers.Route{Spec: c.doc, Path: x.request.Pattern, PathItem: item, Method: method, Operation: item.GetOperation(method)}
	answer := route.Operation.Responses.Status(x.status)
	if answer == nil {
		return errors.New("the status is not described")
	}
	c.seen[fmt.Sprint(method, " ", route.Path, " ", x.status)] = true
	if x.request.Method == http.MethodHead || len(answer.Value.Content) == 0 {
		return nil
	}
	if media, _, err := mime.ParseMediaType(x.header.Get("Content-Type")); err == nil && media == "application/x-ndjson" {
		return c.checkLines(route.Operation, x)
	}
	return c.checkWhole(route, x)
}

// checkUnknown: for what is not described, only two answers are right.
func (c *contract) checkUnknown(x *exchange) error {
	if x.status != http.StatusNotFound && x.status != http.StatusMethodNotAllowed {
		return errors.New("the call is not described")
	}
	return visit(c.doc.Components.Schemas["Problem"], x.received.Bytes())
}

// checkWhole checks a call with one body each way.
func (c *contract) checkWhole(route *routers.Route, x *exchange) error {
	params := map[string]string{}
	for _, p := range route.Operation.Parameters {
		if p.Value.In == "path" {
			params[p.Value.Name] = x.request.PathValue(p.Value.Name)
		}
	}
	request := x.request.Clone(context.Background())
	request.Method = route.Method
	body := meaningful(x.sent.Bytes())
	request.Body = io.NopCloser(bytes.NewReader(body))
	request.ContentLength = int64(len(body))
	request.Header.Set("Content-Type", "application/json") // whatever it says, the server takes it for that
	input := &openapi3filter.RequestValidationInput{
		Request: request, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
	}
	answer := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: x.status, Header: x.header, Body: io.NopCloser(x.received), Options: input.Options,
	}
	received := x.received.Bytes()
	if err := openapi3filter.ValidateResponse(context.Background(), answer); err != nil {
		return err
	}
	x.received = bytes.NewBuffer(received)
	if strings.HasSuffix(route.Path, "/batch") {
		return c.checkBatch(x)
	}
	return agree(openapi3filter.ValidateRequest(context.Background(), input), received)
}

// checkBatch checks the pushes of an array by themselves, since each has an answer of its own.
func (c *contract) checkBatch(x *exchange) error {
	var pushes, answers []json.RawMessage
	if x.status != http.StatusOK {
		return nil
	}
	if err := errors.Join(json.Unmarshal(x.sent.Bytes(), &pushes), json.Unmarshal(x.received.Bytes(), &answers)); err != nil {
		return err
	}
	var errs []error
	for i := range pushes {
		errs = append(errs, agree(visit(c.doc.Components.Schemas["Push"], meaningful(pushes[i])), answers[i]))
	}
	return errors.Join(errs...)
}

// checkLines checks lines: in many, some of those at the beginning.
func (c *contract) checkLines(operation *openapi3.Operation, x *exchange) error {
	const enough = 100
	push := operation.RequestBody.Value.Content.Get("application/x-ndjson").Schema
	answer := operation.Responses.Status(x.status).Value.Content.Get("application/x-ndjson").Schema
	var pushes [][]byte
	for line := range bytes.Lines(x.sent.Bytes()) {
		if !blank(line) {
			pushes = append(pushes, line)
		}
	}
	n := 0
	for line := range bytes.Lines(x.received.Bytes()) {
		if n == min(enough, len(pushes)) {
			break
		}
		if err := visit(answer, line); err != nil {
			return fmt.Errorf("answer %d: %w", n, err)
		}
		if err := agree(visit(push, meaningful(pushes[n])), line); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		n++
	}
	return nil
}

// agree compares what openapi.json thinks of a request with what the server has answered: what it took must be valid,
// and what it did not for reasons that a schema can give must not.
func agree(invalid error, answer []byte) error {
	var p struct{ Code code }
	if json.Unmarshal(answer, &p) != nil || p.Code == "" {
		return invalid
	}
	switch p.Code {
	case codeMissingField, codeReservedEvent:
		if invalid == nil {
			return fmt.Errorf("the request is valid there, but was refused as %s", p.Code)
		}
	}
	return nil
}

// visit checks JSON against a schema.
func visit(schema *openapi3.SchemaRef, data []byte) error {
	var v any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return err
	}
	return schema.Value.VisitJSON(v, openapi3.EnableJSONSchema2020())
}

// meaningful returns a push without what says nothing: members that are null, and fields of later versions that are
// false. What is no push stays as it is.
func meaningful(data []byte) []byte {
	var push map[string]json.RawMessage
	if json.Unmarshal(data, &push) != nil {
		return data
	}
	maps.DeleteFunc(push, func(name string, value json.RawMessage) bool {
		later := name == "ttl" || name == "store" || name == "ack" || name == "receipt"
		return string(value) == "null" && name != "data" || string(value) == "false" && later
	})
	if to, is := push["to"]; is {
		push["to"] = meaningful(to)
	}
	text, err := json.Marshal(push)
	if err != nil {
		return data
	}
	return text
}

// The contract finds what is wrong with a server.
func TestContract(t *testing.T) {
	const good = `{"id":"x","matched":{"users":1,"connections":1},"stored":false,"duplicate":false}`
	const problem = `{"type":"urn:crier:problem:internal","title":"t","status":500,"detail":"d","code":"internal"}`
	for _, c := range []struct {
		name, body  string
		status      int
		contentType string
		answer      string
		wrong       bool
	}{
		{"right", `{"to":{"all":true},"data":1}`, 200, "application/json", good, false},
		{"right problem", `{"to":{"all":true},"data":1}`, 500, "application/problem+json", problem, false},
		{"no status of its", `{"to":{"all":true},"data":1}`, 418, "application/json", good, true},
		{"another type", `{"to":{"all":true},"data":1}`, 200, "text/plain", good, true},
		{"another answer", `{"to":{"all":true},"data":1}`, 200, "application/json", `{"id":"x"}`, true},
		{"an unknown code", `{"to":{"all":true},"data":1}`, 500, "application/problem+json", strings.ReplaceAll(problem, `"internal"`, `"new"`), true},
		{"took too much", `{"to":{"all":true},"data":1,"dta":2}`, 200, "application/json", good, true},
		{"took nothing", `{"to":{"all":true}}`, 200, "application/json", good, true},
		{"took both", `{"to":{"all":true},"data":1,"args":[]}`, 200, "application/json", good, true},
		{"took deep nonsense", `{"to":{"all":true,"except":{"except":{"user":1}}},"data":1}`, 200, "application/json", good, true},
		{"refused what is right", `{"to":{"all":true},"data":1}`, 422, "application/problem+json", strings.ReplaceAll(problem, "internal", "missing_field"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/v1/push", nil)
			r.Pattern = "/v1/push"
			own, err := newContract(openAPIDocument)
			if err != nil {
				t.Fatal(err)
			}
			err = own.check(&exchange{
				request: r, sent: bytes.NewBufferString(c.body), received: bytes.NewBufferString(c.answer),
				status: c.status, header: http.Header{"Content-Type": {c.contentType}, "Retry-After": {strconv.Itoa(1)}},
			})
			if (err != nil) != c.wrong {
				t.Errorf("found %v", err)
			}
		})
	}
}
