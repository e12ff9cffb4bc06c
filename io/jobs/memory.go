package jobs

import (
	"fmt"
	"slices"
	"sync"
)

// Memory is a Queue that forgets everything when the process ends. Its methods never block.
type Memory struct {
	mu   sync.Mutex
	last uint64          // guarded by mu
	jobs map[uint64]*Job // guarded by mu; a *Job in it is never modified
}

// NewMemory returns an empty queue.
func NewMemory() *Memory {
	return &Memory{jobs: make(map[uint64]*Job)}
}

// Add implements Queue; it never fails.
func (m *Memory) Add(jobs []Job) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range jobs {
		m.last++
		jobs[i].ID = m.last
		job := jobs[i]
		m.jobs[job.ID] = &job
	}
	return nil
}

// Get implements Queue.
func (m *Memory) Get(id uint64) (Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	job, ok := m.jobs[id]
	if !ok {
		return Job{}, fmt.Errorf("getting job %d: %w", id, ErrNotFound)
	}
	return *job, nil
}

// Save implements Queue.
func (m *Memory) Save(jobs ...Job) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, job := range jobs {
		if _, ok := m.jobs[job.ID]; !ok {
			return fmt.Errorf("saving job %d: %w", job.ID, ErrNotFound)
		}
	}
	for _, job := range jobs {
		m.jobs[job.ID] = &job
	}
	return nil
}

// Remove implements Queue; it never fails.
func (m *Memory) Remove(ids ...uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		delete(m.jobs, id)
	}
	return nil
}

// Each implements Queue. It works on a snapshot.
func (m *Memory) Each(fn func(Job) error) error {
	m.mu.Lock()
	all := make([]*Job, 0, len(m.jobs))
	for _, job := range m.jobs {
		all = append(all, job)
	}
	m.mu.Unlock()
	slices.SortFunc(all, func(a, b *Job) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	for _, job := range all {
		if err := fn(*job); err != nil {
			return err
		}
	}
	return nil
}
