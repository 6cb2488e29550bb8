package hw

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A Team is a few goroutines that wait, awake, for the calls of Parallel that
// follow one another closely, as the operators of one token do. Where Parallel
// by itself wakes a goroutine for tens of microseconds, a member of a team joins
// in less than one.
//
// Workers is what to pass to Parallel and Tasks in place of a number. The team
// belongs to one goroutine at a time: a call of Parallel from inside another, or from
// a second goroutine, runs by itself. Members never hold the caller up: one
// that the system has put aside, or that sleeps because nothing came for a
// while, takes no part, and the caller does the work. Stop ends it.
type Team struct {
	workers, handle int

	loop
	_ [48]byte // what follows is written by members as they come and go

	turn   atomic.Uint32 // odd while there is a job: the loop has begun
	active atomic.Int32  // members that are in the job, or may be
	busy   atomic.Bool   // somebody is in run
	stop   atomic.Bool

	members []member
	ended   sync.WaitGroup
}

type member struct {
	asleep atomic.Bool
	wake   chan struct{}
	_      [40]byte
}

// teams are found by what Workers gives: firstTeam and up.
var teams [64]atomic.Pointer[Team]

const firstTeam = 1 << 20

// StartTeam starts a team of at most workers goroutines, the caller among them
// (<= 0: GOMAXPROCS, which is the most): more than there are processors would
// wait for one another.
func StartTeam(workers int) *Team {
	if procs := runtime.GOMAXPROCS(0); workers <= 0 || workers > procs {
		workers = procs
	}
	t := &Team{workers: workers, handle: workers}
	if workers == 1 {
		return t
	}
	slot := 0
	for !teams[slot].CompareAndSwap(nil, t) {
		if slot++; slot == len(teams) {
			return t // so many teams leave no processor to wait on
		}
	}
	t.handle = firstTeam + slot
	t.members = make([]member, workers-1)
	t.ended.Add(len(t.members))
	for i := range t.members {
		t.members[i].wake = make(chan struct{}, 1)
		go t.serve(&t.members[i])
	}
	return t
}

// Workers stands for the team in calls of Parallel and Tasks.
func (t *Team) Workers() int { return t.handle }

// Stop ends the team's goroutines and returns when they have ended. Its
// Workers must not be used any more.
func (t *Team) Stop() {
	if t.handle < firstTeam {
		return
	}
	t.stop.Store(true)
	t.rouse()
	t.ended.Wait()
	teams[t.handle-firstTeam].Store(nil)
}

// teamOf is the team that workers stands for, nil for a number.
func teamOf(workers int) *Team {
	if workers < firstTeam || workers >= firstTeam+len(teams) {
		return nil
	}
	return teams[workers-firstTeam].Load()
}

// rouse wakes the members that sleep.
func (t *Team) rouse() {
	for i := range t.members {
		if m := &t.members[i]; m.asleep.Load() && m.asleep.CompareAndSwap(true, false) {
			m.wake <- struct{}{}
		}
	}
}

// run is Parallel by the team.
func (t *Team) run(n int, f func(i int)) {
	if n <= 1 || !t.busy.CompareAndSwap(false, true) {
		for i := range n {
			f(i)
		}
		return
	}
	t.begin(n, f)
	t.turn.Add(1)
	t.rouse()
	defer t.finish()
	t.work()
}

// finish closes the job and waits for the members that are in it. One that
// comes now either has been counted here or finds the turn over: both sides write first, then read.
func (t *Team) finish() {
	t.close()
	t.turn.Add(1)
	for spins := 0; t.active.Load() != 0; spins++ {
		if spins < 1000 {
			pause()
		} else {
			runtime.Gosched()
		}
	}
	value, panicked := t.end()
	t.busy.Store(false)
	if panicked {
		panic(value)
	}
}

// How long a member waits for the next job: awake, then letting others run, then asleep.
const (
	awakeFor  = 50 * time.Microsecond
	politeFor = 200 * time.Microsecond
)

func (t *Team) serve(m *member) {
	defer t.ended.Done()
	last := uint32(0) // the turn that this member has taken part in
	for !t.stop.Load() {
		if turn := t.turn.Load(); turn%2 == 1 && turn != last {
			last = turn
			t.join(turn)
			continue
		}
		since := time.Now()
		for !t.due(last) {
			for range 16 {
				pause()
			}
			idle := time.Since(since)
			if idle > awakeFor {
				runtime.Gosched()
			}
			if idle > politeFor {
				t.sleep(m, last)
				break
			}
		}
	}
}

// due reports whether there is something to do for a member that has done its part of turn last.
func (t *Team) due(last uint32) bool {
	turn := t.turn.Load()
	return turn%2 == 1 && turn != last || t.stop.Load()
}

// sleep parks until rouse. Whoever opens a job or stops the team does so
// before looking at asleep; here asleep is set before looking at them.
func (t *Team) sleep(m *member, last uint32) {
	m.asleep.Store(true)
	if t.due(last) && m.asleep.CompareAndSwap(true, false) {
		return
	}
	<-m.wake
}

// join takes part in the job of a turn.
func (t *Team) join(turn uint32) {
	t.active.Add(1)
	defer t.active.Add(-1)
	if t.turn.Load() == turn {
		t.help()
	}
}

// teamTask is MinTask for a team.
const teamTask = 4000

func (t *Team) tasks(n int, ns float64) int {
	most := min(n, 4*t.workers)
	worth := float64(n) * ns / teamTask
	switch {
	case worth < 2 || most <= 1:
		return 1
	case worth < float64(most):
		most = int(worth)
	}
	if most > t.workers {
		most -= most % t.workers
	}
	return most
}
