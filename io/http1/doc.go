// Package http1 is as much of HTTP/1.1 as we read and write ourselves: plain requests that have come whole, and answers that
// are written in one piece. It understands nothing that two readers could understand differently; that is for net/http.
package http1
