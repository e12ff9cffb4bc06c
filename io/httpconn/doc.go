// Package httpconn keeps HTTP/1.1 connections whose requests wait for long, as those of clients that poll do: while nothing
// happens on one it holds no buffer, and no goroutine where the poller has an epoll.
//
// A [Server] takes connections over from net/http with their first request of a kind that it takes, and serves those that
// follow by the same handler. What comes on one that is anything else, or that it does not understand to the last byte, goes back
// to net/http, and the connection with it. A handler that calls [Park] need not wait: whoever has the answer gives it.
package httpconn
