// Package proc runs the processes that a benchmark measures, each on the processor that it is given,
// and reads what they use. It works on Linux only.
package proc
