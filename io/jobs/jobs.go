// Package jobs does work at a given time, with retries, in order per key. It knows nothing about what the
// work is: a Handler does it, a Queue remembers it, and the Runner decides when.
package jobs

import (
	"context"
	"errors"
	"time"
)

// Errors of Runner.Put and of a Queue.
var (
	// ErrFull says that Options.MaxJobs jobs are waiting already; the new ones were refused, all of them.
	ErrFull = errors.New("the job queue is full")
	// ErrClosed says that the Runner was closed before the jobs were put.
	ErrClosed = errors.New("the job queue is closed")
	// ErrNotFound says that a Queue has no job of that number.
	ErrNotFound = errors.New("no such job")
)

// Job is one piece of work. The caller of Put sets Key and Payload, and may set Due and Expires; the rest
// belongs to the Runner and its Queue.
type Job struct {
	// ID is the job's number, given by the Queue; a job put later has a greater one.
	ID uint64
	// Key orders jobs: those of one key run one after another, as they were put, and a job that waits for its
	// next try holds up the later ones of its key. Jobs with an empty key are independent of each other.
	Key string
	// Payload is the handler's own. It is shared, so nobody may modify it after Put.
	Payload []byte
	// Due is the earliest time of the next try. Zero in Put means at once.
	Due time.Time
	// Expires is when the job is given up: a try that fails then or later is the last one. Every job gets at
	// least one try, however late. Zero in Put means Options.MaxAge after Due; zero later means never.
	Expires time.Time
	// Created is when the job was put.
	Created time.Time
	// Attempts counts the tries that failed.
	Attempts int
	// LastError is the text of the last failure.
	LastError string
	// Parked is when the job was given up, zero while it is not. A parked job is kept for people to look at.
	Parked time.Time
	// Batch, if not empty, is the id of a batch that this job is the first of, and BatchJobs are the IDs of all jobs in it.
	// They are kept from before its first try until it is done or given up, so that every try is of the same jobs.
	Batch     string
	BatchJobs []uint64
}

// Handler does a job. A nil error means that it is done. With an error, retry says whether another try may
// help; without one the job is parked at once. The error can say when to come back: see After.
//
// It is called from several goroutines, but never for two jobs of one key at a time. ctx ends when the Runner
// cannot wait any longer; a handler that then returns an error has not failed, its job stays as it was.
type Handler func(ctx context.Context, job Job) (retry bool, err error)

// BatchHandler does several jobs as one: all succeed, or all fail, as with a Handler. The id is the same on every try, of
// which each has the same jobs, also after a crash. Those of one key are in the order in which they were put.
type BatchHandler func(ctx context.Context, id string, jobs []Job) (retry bool, err error)

// Queue remembers jobs. A durable one returns from Add, Save and Remove when the change will survive a crash,
// and may join changes of several callers into one write. All methods may be called at any time by several
// goroutines.
type Queue interface {
	// Add stores new jobs, all or none, and sets the ID of each.
	Add(jobs []Job) error
	// Get returns a job, or an error that wraps ErrNotFound.
	Get(id uint64) (Job, error)
	// Save replaces the stored jobs that have the same IDs, all or none, or returns an error that wraps ErrNotFound.
	Save(jobs ...Job) error
	// Remove forgets jobs, all or none. That there is none of an ID is no error.
	Remove(ids ...uint64) error
	// Each calls fn for every stored job, parked ones too, by growing ID, until fn returns an error, which it
	// passes on. fn does not call the Queue, nor keep the job's payload.
	Each(fn func(Job) error) error
}

// After wraps err so that the next try comes no sooner than wait from now, as an HTTP Retry-After asks. The
// Runner caps wait at Options.MaxRetryAfter and never comes back sooner than its own back-off.
func After(err error, wait time.Duration) error {
	return &afterError{err: err, wait: wait}
}

type afterError struct {
	err  error
	wait time.Duration
}

func (e *afterError) Error() string { return e.err.Error() }
func (e *afterError) Unwrap() error { return e.err }
