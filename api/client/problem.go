package client

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// Problem is a call, or one of several pushes, that the server refused (RFC 9457).
type Problem struct {
	// Code names the class of the problem and never changes: compare this. It is empty where not Crier answered but
	// something before it, such as a proxy.
	Code string `json:"code"`
	// Status is the HTTP status.
	Status int `json:"status"`
	// Title is the same for every problem of the code.
	Title string `json:"title"`
	// Detail says, for people, what is wrong and what to do.
	Detail string `json:"detail"`
	// RetryAfter is when to come back, if the server says so; else zero.
	RetryAfter time.Duration `json:"-"`
}

// Error returns the detail and the code.
func (p *Problem) Error() string {
	if p.Code == "" {
		return p.Detail
	}
	return p.Detail + " (" + p.Code + ")"
}

// problemOf makes a problem of an answer that is not 200.
func problemOf(r *http.Response, body []byte) *Problem {
	p := &Problem{}
	if err := json.Unmarshal(body, p); err != nil || p.Code == "" {
		p = &Problem{Title: http.StatusText(r.StatusCode)}
		p.Detail = fmt.Sprintf("the answer is %d %s and not one of Crier's: is the URL that of the push port?", r.StatusCode, p.Title)
	}
	p.Status = r.StatusCode
	if seconds, err := strconv.ParseInt(r.Header.Get("Retry-After"), 10, 64); err == nil && seconds > 0 {
		p.RetryAfter = time.Duration(min(seconds, math.MaxInt64/int64(time.Second))) * time.Second
	}
	return p
}

// wait is the least time until the call may be made again; negative if that is no use.
func (p *Problem) wait() time.Duration {
	switch p.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		if p.RetryAfter <= longestWait {
			return p.RetryAfter
		}
	}
	return -1
}
