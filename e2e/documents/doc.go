// Package documents has the tests of README and docs that need no server: both languages have the same shape, and what the program
// says is explained. Their commands are run by package e2e.
package documents
