// Package parsers compares Crier's decoders with the official parsers in Node, of every protocol generation: the
// same inputs must be refused, and the others mean the same. What differs on purpose is listed, with the
// reasons, in the rules of the tests. README.md says how to run them.
package parsers
