// Package schedule makes pushes at a later time, once or again and again. It knows when; what a push is, and whether
// somebody may make it, is for the package that gives it a Push function.
package schedule
