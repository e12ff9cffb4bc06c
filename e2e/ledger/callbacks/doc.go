// Package callbacks is the book of the callbacks: users come, go, refresh and crash while the server is killed, stopped and
// restarted and the receiver of the callbacks fails, and a checker compares what was told with what happened.
package callbacks
