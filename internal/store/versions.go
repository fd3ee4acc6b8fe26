package store

import (
	"time"

	"mailsweep/internal/sweep"
)

const (
	versionsFor = 15 * time.Second // how long a version is believed without looking again: as long as a stream waits before it looks
	versionsOf  = 20_000           // jobs
)

// Versions are kept by a process that listens; a nil listener keeps and knows none.

// known is a job's version as it was read or heard of last; zero while it is being read.
type known struct {
	version int64
	read    time.Time
}

// Version is the job's newest version if this process read it a moment ago and has heard of all changes since: an answer to who asks
// whether anything changed, without the database.
func (l *Listener) Version(customer, job sweep.ID) (version int64, ok bool) {
	if l == nil {
		return 0, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.versions[jobKey{customer, job}]
	if k == nil || k.version == 0 || time.Since(k.read) >= versionsFor {
		return 0, false
	}
	return k.version, true
}

// Reading says that the job is about to be read; keep remembers the version that was found. What is heard in between counts.
func (l *Listener) Reading(customer, job sweep.ID) (keep func(version int64)) {
	if l == nil {
		return func(int64) {}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key, k, began := jobKey{customer, job}, &known{}, time.Now()
	if l.versions == nil { // not connected: changes would be missed
		return func(int64) {}
	}
	if len(l.versions) >= versionsOf {
		clear(l.versions) // all are read again: simpler than to find the oldest, and as rare
	}
	l.versions[key] = k
	return func(version int64) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.versions[key] == k {
			k.version, k.read = max(k.version, version), began
		}
	}
}

// Forget makes the next who asks read the job.
func (l *Listener) Forget(customer, job sweep.ID) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.versions, jobKey{customer, job})
}

// heard notes a change under the lock; a version of zero says that there is a newer one.
func (l *Listener) heard(key jobKey, version int64) {
	k := l.versions[key]
	switch {
	case k == nil:
	case version == 0:
		delete(l.versions, key)
	default:
		k.version = max(k.version, version)
	}
}
