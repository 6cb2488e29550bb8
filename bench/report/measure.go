package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"regexp"
	"runtime"
	"time"

	"github.com/subquad/subquad/bench"
	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/gemm"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

// A task is something to measure in several visits, of which the best counts:
// between them everything else has its turn, so that a disturbance of the
// machine does not fall on one point alone.
type task struct {
	name   string
	guess  float64              // of the seconds of a visit, which only the time left is made from
	visit  func() time.Duration // the shortest run of what is measured
	spent  time.Duration
	visits int
	least  time.Duration
}

// A schedule visits its tasks in rounds until each has had its time.
type schedule struct {
	tasks   []*task
	atLeast time.Duration // for each task
}

// A task has up to maxRounds visits, and at least minRounds if a single run is
// shorter than what it should have in all: one long disturbance must not use that up.
const minRounds, maxRounds = 3, 12

func (s *schedule) add(name string, guess float64, visit func() time.Duration) {
	s.tasks = append(s.tasks, &task{name: name, guess: guess, visit: visit})
}

// rounds is how many visits a task has, each taking cost, where its shortest run takes least.
func (s *schedule) rounds(cost, least time.Duration) int {
	if s.atLeast <= 0 || least > s.atLeast {
		return 1
	}
	return min(maxRounds, max(minRounds, int((s.atLeast+cost-1)/max(1, cost))))
}

func (s *schedule) run(ctx context.Context) {
	line := newLine()
	defer line.clear()
	for round := range maxRounds {
		for _, t := range s.tasks {
			if round > 0 && round >= s.rounds(t.spent/time.Duration(t.visits), t.least) {
				continue
			}
			if ctx.Err() != nil {
				return
			}
			done, left := s.left()
			line.say(done, left, t.name)
			start := time.Now()
			least := t.visit()
			t.spent += time.Since(start)
			if t.visits == 0 || least < t.least {
				t.least = least
			}
			t.visits++
		}
	}
}

// left is the time that is done and an estimate of what is to come: what each
// task took so far, or its guess, set right by the guesses of those that ran.
func (s *schedule) left() (done, left time.Duration) {
	ran, guessed := 0.0, 0.0
	for _, t := range s.tasks {
		if t.visits > 0 {
			done += t.spent
			ran, guessed = ran+t.spent.Seconds()/float64(t.visits), guessed+t.guess
		}
	}
	scale := 1.0
	if guessed > 0 {
		scale = ran / guessed
	}
	for _, t := range s.tasks {
		cost, least := time.Duration(t.guess*scale*float64(time.Second)), time.Duration(0)
		if t.visits > 0 {
			cost, least = t.spent/time.Duration(t.visits), t.least
		}
		left += cost * time.Duration(max(0, s.rounds(cost, least)-t.visits))
	}
	return done, left
}

// A line says what is being measured and how long the rest may take: over and
// over in one line of a terminal, now and then elsewhere.
type line struct {
	terminal bool
	next     time.Time
}

func newLine() *line {
	info, err := os.Stderr.Stat()
	return &line{terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (l *line) say(done, left time.Duration, what string) {
	if time.Now().Before(l.next) {
		return
	}
	text := fmt.Sprintf("%3.0f %%  %v left  %s", 100*done.Seconds()/max(1e-9, (done+left).Seconds()), left.Round(time.Second), what)
	if l.terminal {
		l.next = time.Now().Add(100 * time.Millisecond)
		fmt.Fprintf(os.Stderr, "\r\033[K%s", text)
	} else {
		l.next = time.Now().Add(30 * time.Second)
		fmt.Fprintln(os.Stderr, text)
	}
}

func (l *line) clear() {
	if l.terminal {
		fmt.Fprint(os.Stderr, "\r\033[K")
	}
}

// sample runs f until some milliseconds have been measured and puts the
// shortest time, in microseconds over per, into best, if that is 0 or longer.
// A first run that was short only warms up. It returns the shortest run.
func sample(best *float64, per float64, f func()) (shortest time.Duration) {
	const enough, long = 10 * time.Millisecond, 300 * time.Millisecond
	sum := time.Duration(0)
	for first := true; first || sum < enough; first = false {
		start := time.Now()
		f()
		took := time.Since(start)
		if first && took < long {
			start = time.Now()
			f()
			took = time.Since(start)
		}
		if first || took < shortest {
			shortest = took
		}
		sum += took
		if us := took.Seconds() * 1e6 / per; *best == 0 || us < *best {
			*best = us
		}
	}
	return shortest
}

// The lengths up to which gradients are measured, for which everything is kept,
// and all cores, which have overtaken softmax attention by then.
const longestTraining, longestAll = 4096, 16384

// layers adds the tasks of every layer that is chosen.
func (s *schedule) layers(r *Result, only *regexp.Regexp) error {
	x := make([]float32, r.Lengths[len(r.Lengths)-1]*r.Width)
	for i := range x {
		x[i] = float32(math.Sin(float64(i) * 1.7))
	}
	for _, k := range bench.Kinds {
		if only.MatchString(k.Name) || k.Quadratic {
			r.Layers = append(r.Layers, LayerResult{Name: k.Name, Quadratic: k.Quadratic})
		}
	}
	at := 0
	for _, k := range bench.Kinds {
		if !only.MatchString(k.Name) && !k.Quadratic {
			continue
		}
		l, err := k.New(r.Width)
		if err != nil {
			return fmt.Errorf("layer %s: %w", k.Name, err)
		}
		s.layer(r, &r.Layers[at], l, x)
		at++
	}
	return nil
}

func (s *schedule) layer(r *Result, res *LayerResult, l nn.Layer, x []float32) {
	lengths := len(r.Lengths)
	for _, v := range []*[]float64{&res.Forward, &res.ForwardAll, &res.Train} {
		*v = make([]float64, lengths)
	}
	for _, v := range []*[]int{&res.State, &res.Memory, &res.TrainMemory} {
		*v = make([]int, lengths)
	}
	res.Decode = make([]float64, len(r.Depths))
	guess := func(n int) float64 {
		g := 10e-6 * float64(n)
		if res.Quadratic {
			g *= 1 + float64(n)/2048
		}
		return 2 * g
	}
	after := make([]*tensor.State, len(r.Depths)) // of the longest forward passes
	for i, n := range r.Lengths {
		s.add(fmt.Sprintf("%s, %d tokens", title(res.Name), n), guess(n), func() time.Duration {
			scope := tensor.NewScope(tensor.Workers(1))
			var st *tensor.State
			least := sample(&res.Forward[i], float64(n), func() {
				scope.Reset()
				st = l.NewState(1)
				nn.Long(l, scope.From(x[:n*r.Width], 1, n, r.Width), st)
			})
			res.State[i], res.Memory[i] = st.Bytes(), scope.Bytes()
			for j, d := range r.Depths {
				if d == n {
					after[j] = st
				}
			}
			return least
		})
		if r.Cores > 1 && n <= longestAll {
			s.add(fmt.Sprintf("%s, %d tokens, %d threads", title(res.Name), n, r.Cores), guess(n)/2, func() time.Duration {
				scope := tensor.NewScope(tensor.Workers(r.Cores))
				return sample(&res.ForwardAll[i], float64(n), func() {
					scope.Reset()
					nn.Long(l, scope.From(x[:n*r.Width], 1, n, r.Width), l.NewState(1))
				})
			})
		}
		if n <= longestTraining {
			s.add(fmt.Sprintf("%s, %d tokens, gradients", title(res.Name), n), 4*guess(n), func() time.Duration {
				scope := tensor.NewScope(tensor.Record(), tensor.Workers(1))
				least := sample(&res.Train[i], float64(n), func() {
					scope.Reset()
					y := l.Forward(scope.From(x[:n*r.Width], 1, n, r.Width).Track(), nil)
					scope.Backward(tensor.SumAll(tensor.Square(y)))
				})
				l.Params().ZeroGrad()
				res.TrainMemory[i] = scope.Bytes()
				return least
			})
		}
	}
	for j, d := range r.Depths {
		s.add(fmt.Sprintf("%s, single tokens after %d", title(res.Name), d), 0.02, func() time.Duration {
			const steps = 4
			scope := tensor.NewScope(tensor.Workers(1))
			fork := after[j].Clone()
			step := func() {
				scope.Reset()
				l.Forward(scope.From(x[:r.Width], 1, 1, r.Width), fork)
			}
			step() // a state that grows takes memory for many tokens at once
			return sample(&res.Decode[j], steps, func() {
				for range steps {
					step()
				}
			})
		})
	}
}

// kernels adds the limits and the kernels, on one core.
func (s *schedule) kernels(r *Result) {
	alone := func(l hw.Level, f func() time.Duration) func() time.Duration {
		return func() time.Duration {
			was := hw.Current()
			defer hw.Set(was)
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			if hw.Set(l) != nil { // of hw.Levels(): cannot be
				return 0
			}
			return f()
		}
	}
	r.Limits = map[string]Limit{}
	for _, l := range hw.Levels() {
		s.add("limits, "+l.String(), 0.2, alone(l, func() time.Duration {
			was := r.Limits[l.String()]
			r.Limits[l.String()] = Limit{max(was.GFLOPS, gemm.PeakFLOPS()/1e9), max(was.GBs, gemm.ReadBandwidth(256<<20)/1e9), max(was.Tiles, gemm.PeakTileFLOPS()/1e9)}
			return 0
		}))
	}
	cases := kernelCases()
	r.Kernels = make([]KernelResult, len(cases))
	for i, c := range cases {
		us := 0.0
		r.Kernels[i] = KernelResult{c.name, c.level.String(), 0, c.bytes / c.flop}
		s.add(c.name+", "+c.level.String(), 0.03, alone(c.level, func() time.Duration {
			least := sample(&us, 1, c.run)
			r.Kernels[i].GFLOPS = c.flop / us / 1e3
			return least
		}))
	}
	sweeps := sweepCases()
	r.Sweeps = make([]Sweep, len(sweeps))
	for i, w := range sweeps {
		r.Sweeps[i] = Sweep{w.name, w.level.String(), w.sizes, make([]float64, len(w.sizes))}
		for j, n := range w.sizes {
			us := 0.0
			var run func()
			s.add(fmt.Sprintf("%s, %d, %s", w.name, n, w.level), 0.03, alone(w.level, func() time.Duration {
				if run == nil {
					run = w.make(n)
				}
				least := sample(&us, 1, run)
				r.Sweeps[i].GFLOPS[j] = w.flop(n) / us / 1e3
				return least
			}))
		}
	}
}
