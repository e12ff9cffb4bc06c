// Package schedules is the book of the timed pushes: schedules of all kinds are made while the server is killed, stopped and
// restarted, receivers note the runs that reach them, and a checker compares these with those that were due.
package schedules
