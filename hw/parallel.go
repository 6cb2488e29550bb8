package hw

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Parallel calls f(0) … f(n-1), each once, from at most workers goroutines, the
// caller among them, and returns when all are done. workers <= 0 means
// GOMAXPROCS. What f(i) computes must not depend on which goroutine runs it,
// so that results are the same bits for any number of workers.
//
// A call from inside f is safe: goroutines are started for each call, so none
// waits for a place in a pool. A panic in f reaches the caller of Parallel with
// its value, once the calls under way have ended; the rest are not made.
//
// Waking a goroutine costs tens of microseconds: split work into tasks of at
// least that size (see Tasks), and call f directly when there is only one;
// passing a closure here moves it to the heap.
//
// workers may be a Team's, which is then called on.
func Parallel(workers, n int, f func(i int)) {
	if t := teamOf(workers); t != nil {
		t.run(n, f)
		return
	}
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	workers = min(workers, n)
	if workers <= 1 {
		for i := range n {
			f(i)
		}
		return
	}
	j := jobs.Get().(*job)
	j.begin(n, f)
	j.helpers.Add(workers - 1)
	for range workers - 1 {
		go j.helper()
	}
	defer j.finish()
	j.work()
}

// A loop is f(0) … f(n−1), of which goroutines take what is next.
type loop struct {
	f    func(i int)
	n    int64
	next atomic.Int64

	mu       sync.Mutex
	panicked bool
	value    any // of the first panic in help
}

func (l *loop) begin(n int, f func(i int)) {
	l.f, l.n = f, int64(n)
	l.next.Store(0)
}

// work is the caller's part; its panics are the caller's own.
func (l *loop) work() {
	for i := l.next.Add(1) - 1; i < l.n; i = l.next.Add(1) - 1 {
		l.f(int(i))
	}
}

// help is another goroutine's part, which keeps a panic for the caller.
func (l *loop) help() {
	done := false
	defer func() {
		if done {
			return
		}
		v := recover()
		if v == nil { // not a panic: testing's FailNow does this
			v = "hw: Parallel's function called runtime.Goexit"
		}
		l.mu.Lock()
		if !l.panicked {
			l.panicked, l.value = true, v
		}
		l.mu.Unlock()
		l.close()
	}()
	l.work()
	done = true
}

// close leaves nothing to take, so that after a panic nobody starts another call.
func (l *loop) close() { l.next.Store(l.n) }

// end forgets the loop, once nobody is in it, and says whether a helper panicked.
func (l *loop) end() (value any, panicked bool) {
	value, panicked = l.value, l.panicked
	l.f, l.value, l.panicked = nil, nil, false
	return value, panicked
}

// A job is one call of Parallel. Jobs are reused: neither they nor their
// goroutines cost memory once a program is warm.
type job struct {
	loop
	helpers sync.WaitGroup
	helper  func() // bound once so that go takes it as it is
}

var jobs = sync.Pool{New: func() any {
	j := new(job)
	j.helper = func() {
		defer j.helpers.Done()
		j.help()
	}
	return j
}}

// finish runs when the caller's own share is done, or has panicked.
func (j *job) finish() {
	j.close()
	j.helpers.Wait()
	value, panicked := j.end()
	jobs.Put(j)
	if panicked {
		panic(value)
	}
}

// MinTask is the work, in nanoseconds of one core, below which a task is not
// worth another goroutine.
const MinTask = 50_000

// Tasks says into how many tasks to cut n equal items of ns nanoseconds each
// for workers goroutines (<= 0: GOMAXPROCS): 1 when the whole is too short to
// share, and never more than n or four for each worker. ns is an estimate, good
// to a factor of two or so; it may decide only how work is shared, never what
// is computed.
//
// A Team takes much shorter tasks, as many for each of its workers.
func Tasks(workers, n int, ns float64) int {
	if t := teamOf(workers); t != nil {
		return t.tasks(n, ns)
	}
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	most := min(n, 4*workers)
	if workers == 1 || most <= 1 {
		return 1
	}
	// Compared as floats: an estimate may be beyond the integers.
	if worth := float64(n) * ns / MinTask; worth < float64(most) {
		return max(1, int(worth))
	}
	return most
}

// Range is task i's share of n items cut into tasks pieces, items lo ≤ k < hi:
// the first n%tasks pieces have one item more than the others.
func Range(i, tasks, n int) (lo, hi int) {
	size, more := n/tasks, n%tasks
	return i*size + min(i, more), (i+1)*size + min(i+1, more)
}
