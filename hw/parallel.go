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
// Waking a goroutine costs tens of microseconds: split work into tasks of at
// least that size (see Tasks), and call f directly when there is only one.
func Parallel(workers, n int, f func(i int)) {
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
	var next atomic.Int64
	var wg sync.WaitGroup
	run := func() {
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			f(i)
		}
	}
	for range workers - 1 {
		wg.Go(run)
	}
	run()
	wg.Wait()
}

// MinTask is the work, in nanoseconds of one core, below which a task is not
// worth another goroutine.
const MinTask = 50_000

// Tasks says into how many tasks to cut n equal items of ns nanoseconds each
// for workers goroutines: 1 when the whole is too short to share.
func Tasks(workers, n int, ns float64) int {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	if workers == 1 || n <= 1 {
		return 1
	}
	return max(1, min(n, 4*workers, int(float64(n)*ns/MinTask)))
}

// Range is task i's share of n items cut into tasks pieces.
func Range(i, tasks, n int) (lo, hi int) { return i * n / tasks, (i + 1) * n / tasks }
