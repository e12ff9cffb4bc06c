// Package messages is the book of the stored messages: publishers push to users who come and go, with several tabs and none, while
// the server is killed, stopped and restarted and browsers are killed and frozen, and a checker compares what was accepted with
// what came.
package messages
