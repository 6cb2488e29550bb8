// Command report measures a chosen set of comparisons and writes them as one
// self-contained HTML page with plots, as Markdown, and as JSON.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/subquad/subquad/bench"
	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/gemm"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

var (
	out     = flag.String("out", "report", "folder to write report.html, report.md and report.json to")
	old     = flag.String("old", "", "report.json of an earlier run to compare with")
	width   = flag.Int("d", 256, "channels of each layer")
	longest = flag.Int("longest", 65536, "longest sequence; softmax attention stops at a quarter of it")
	threads = flag.Int("threads", 1, "goroutines; 0 means one a core")
	quick   = flag.Bool("quick", false, "only what takes seconds: short sequences, one round")
	peers   = flag.Bool("peers", true, "measure what other libraries on this machine do on the same work")
)

// A Result is what a run measured; its JSON is what -old reads.
type Result struct {
	Date    string           `json:"date"`
	CPU     string           `json:"cpu"`
	Level   string           `json:"level"`
	Threads int              `json:"threads"`
	Width   int              `json:"width"`
	Lengths []int            `json:"lengths"`
	Depths  []int            `json:"depths"`
	Layers  []LayerResult    `json:"layers"`
	Limits  map[string]Limit `json:"limits"` // by level
	Kernels []KernelResult   `json:"kernels"`
	Peers   []PeerResult     `json:"peers"`
	Absent  []string         `json:"absent"` // peers, with how to install them
}

// A LayerResult has a value for each length or depth; 0 where it was not measured.
type LayerResult struct {
	Name      string    `json:"name"`
	Quadratic bool      `json:"quadratic"`
	Forward   []float64 `json:"forward_us_per_token"`
	Train     []float64 `json:"train_us_per_token"`
	Decode    []float64 `json:"decode_us_per_token"`
	State     []int     `json:"state_bytes"`
	Memory    []int     `json:"scratch_bytes"`
}

// A Limit is what one core does at best.
type Limit struct {
	GFLOPS float64 `json:"gflops"`
	GBs    float64 `json:"gb_s"` // from memory
}

// A KernelResult is a point under the roof.
type KernelResult struct {
	Name   string  `json:"name"`
	Level  string  `json:"level"`
	GFLOPS float64 `json:"gflops"`
	Bytes  float64 `json:"bytes_per_flop"`
}

func main() {
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: go run ./bench/report [flags]\n\nMeasures every layer over length and depth, the kernels against the machine's limits, and peers that are installed.")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func run() error {
	if *width < 64 || *width > 1<<14 || *longest < 512 || *longest > 1<<22 {
		return fmt.Errorf("-d %d, -longest %d: want 64 to %d, 512 to %d", *width, *longest, 1<<14, 1<<22)
	}
	var before *Result
	if *old != "" {
		data, err := os.ReadFile(*old)
		if err == nil {
			before = &Result{}
			err = json.Unmarshal(data, before)
		}
		if err != nil {
			return fmt.Errorf("-old: %w", err)
		}
	}
	if err := os.MkdirAll(*out, 0o777); err != nil {
		return err
	}
	r := &Result{Date: time.Now().Format(time.DateOnly), CPU: hw.Info().Brand, Level: hw.Current().String(), Threads: *threads, Width: *width, Depths: []int{0, 1024, 4096, 16384}}
	if *threads <= 0 {
		r.Threads = runtime.GOMAXPROCS(0)
	}
	if *quick {
		*longest = min(*longest, 2048)
		r.Depths = []int{0, 512}
	}
	for n := 256; n <= *longest; n *= 2 {
		r.Lengths = append(r.Lengths, n)
	}
	measure(r)
	if *peers {
		measurePeers(r)
	}
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	page, err := html(r, before)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"report.json": data, "report.html": page, "report.md": markdown(r)} {
		if err := os.WriteFile(filepath.Join(*out, name), content, 0o666); err != nil {
			return err
		}
	}
	fmt.Println(filepath.Join(*out, "report.html"))
	return nil
}

// progress is the line that says what is being measured, and how long the rest may take.
type progress struct {
	done, all float64 // of the work, in tokens or what stands for them
	start     time.Time
}

func (p *progress) step(work float64, format string, a ...any) {
	left := "?"
	if p.done > 0 {
		left = time.Duration(float64(time.Since(p.start)) * (p.all - p.done) / p.done).Round(time.Second).String()
	}
	fmt.Fprintf(os.Stderr, "\r\033[K%3.0f %%  %s left  %s", 100*p.done/p.all, left, fmt.Sprintf(format, a...))
	p.done += work
	if p.done >= p.all {
		fmt.Fprint(os.Stderr, "\r\033[K")
	}
}

func measure(r *Result) {
	rounds := 3
	if *quick {
		rounds = 1
	}
	work := func(quadratic bool, n int) float64 { // about how long it takes, in tokens of a linear layer
		if quadratic {
			return float64(n) * (2 + float64(n)/512)
		}
		return float64(n)
	}
	p := &progress{start: time.Now()}
	for _, k := range bench.Kinds {
		for _, n := range r.Lengths {
			if !k.Quadratic || n <= *longest/4 {
				p.all += work(k.Quadratic, n)
			}
		}
		p.all += work(k.Quadratic, r.Depths[len(r.Depths)-1])
	}
	kernels := kernelCases()
	p.all += 2000 * float64(len(kernels))

	x := make([]float32, r.Lengths[len(r.Lengths)-1]*r.Width)
	for i := range x {
		x[i] = float32(math.Sin(float64(i) * 1.7))
	}
	for _, k := range bench.Kinds {
		l, err := k.New(r.Width)
		if err != nil {
			fmt.Fprintf(os.Stderr, "\n%s: %v\n", k.Name, err)
			continue
		}
		res := LayerResult{Name: k.Name, Quadratic: k.Quadratic}
		for _, n := range r.Lengths {
			if k.Quadratic && n > *longest/4 {
				res.Forward, res.Train, res.State, res.Memory = append(res.Forward, 0), append(res.Train, 0), append(res.State, 0), append(res.Memory, 0)
				continue
			}
			p.step(work(k.Quadratic, n), "%s, %d tokens", k.Name, n)
			s := tensor.NewScope(tensor.Workers(r.Threads))
			var st *tensor.State
			us := best(rounds, func() {
				s.Reset()
				st = l.NewState(1)
				nn.Long(l, s.From(x[:n*r.Width], 1, n, r.Width), st)
			}) / float64(n)
			res.Forward, res.State, res.Memory = append(res.Forward, us), append(res.State, st.Bytes()), append(res.Memory, s.Bytes())
			train := 0.0
			if n <= 4096 {
				g := tensor.NewScope(tensor.Record(), tensor.Workers(r.Threads))
				train = best(1, func() {
					g.Reset()
					l.Params().ZeroGrad()
					y := l.Forward(g.From(x[:n*r.Width], 1, n, r.Width), nil)
					g.Backward(tensor.SumAll(tensor.Square(y)))
				}) / float64(n)
			}
			res.Train = append(res.Train, train)
		}
		p.step(work(k.Quadratic, r.Depths[len(r.Depths)-1]), "%s, single tokens", k.Name)
		s := tensor.NewScope(tensor.Workers(1))
		st, seen := l.NewState(1), 0
		for _, depth := range r.Depths {
			for seen < depth {
				n := min(4096, depth-seen)
				s.Reset()
				nn.Long(l, s.From(x[:n*r.Width], 1, n, r.Width), st)
				seen += n
			}
			const steps = 64
			us := best(rounds, func() {
				fork := st.Clone()
				for range steps {
					s.Reset()
					l.Forward(s.From(x[:r.Width], 1, 1, r.Width), fork)
				}
			}) / steps
			res.Decode = append(res.Decode, us)
		}
		r.Layers = append(r.Layers, res)
	}

	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // one core
	r.Limits = map[string]Limit{}
	was := hw.Current()
	defer hw.Set(was)
	for _, l := range hw.Levels() {
		if hw.Set(l) != nil {
			continue
		}
		r.Limits[l.String()] = Limit{gemm.PeakFLOPS() / 1e9, gemm.ReadBandwidth(256<<20) / 1e9}
	}
	for _, c := range kernels {
		p.step(2000, "%s", c.name)
		if hw.Set(c.level) != nil {
			continue
		}
		us := best(rounds, c.run)
		r.Kernels = append(r.Kernels, KernelResult{c.name, c.level.String(), c.flop / us / 1e3, c.bytes / c.flop})
	}
}

// best is the shortest of some rounds of f, in microseconds, after one that warms up.
func best(rounds int, f func()) float64 {
	f()
	least := math.Inf(1)
	for range rounds {
		start := time.Now()
		f()
		least = min(least, time.Since(start).Seconds()*1e6)
	}
	return least
}
