package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/subquad/subquad/bench"
)

// A Result is what a run measured; report.json holds one, and -before and -draw read it.
type Result struct {
	Date    string           `json:"date"`
	CPU     string           `json:"cpu"`
	Level   string           `json:"level"`
	Cores   int              `json:"cores"` // goroutines of what runs on all cores
	Width   int              `json:"width"`
	Seconds float64          `json:"seconds"` // that the run took
	Lengths []int            `json:"lengths"`
	Depths  []int            `json:"depths"`
	Layers  []LayerResult    `json:"layers"`
	Limits  map[string]Limit `json:"limits"` // by level
	Kernels []KernelResult   `json:"kernels"`
	Sweeps  []Sweep          `json:"sweeps"`
	Peers   []PeerResult     `json:"peers"`
	Models  []ModelResult    `json:"models"`
	Absent  []string         `json:"absent"` // peers, with how to install them
}

// A LayerResult has a value for each length or depth, the least of several
// rounds; 0 where nothing was measured.
type LayerResult struct {
	Name        string    `json:"name"`
	Quadratic   bool      `json:"quadratic"`
	Forward     []float64 `json:"forward_us_per_token"`           // one thread
	ForwardAll  []float64 `json:"forward_all_cores_us_per_token"` // all cores
	Train       []float64 `json:"train_us_per_token"`             // forward and backward, one thread
	Decode      []float64 `json:"decode_us_per_token"`            // by depth, one thread
	State       []int     `json:"state_bytes"`                    // after so many tokens
	Memory      []int     `json:"forward_bytes"`                  // activations of a forward pass at most
	TrainMemory []int     `json:"train_bytes"`                    // activations and their gradients
}

// A Limit is what one core does at best.
type Limit struct {
	GFLOPS float64 `json:"gflops"`
	GBs    float64 `json:"gb_s"`                   // from memory
	Tiles  float64 `json:"tiles_gflops,omitempty"` // of bfloat16, at level amx
}

// A KernelResult is a point under the roof.
type KernelResult struct {
	Name   string  `json:"name"`
	Level  string  `json:"level"`
	GFLOPS float64 `json:"gflops"`
	Bytes  float64 `json:"bytes_per_flop"`
}

// A Sweep is one kernel over growing sizes.
type Sweep struct {
	Name   string    `json:"name"`
	Level  string    `json:"level"`
	Sizes  []int     `json:"sizes"`
	GFLOPS []float64 `json:"gflops"`
}

// load reads a report.json.
func load(path string) (*Result, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &Result{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// merge adds what another run on the same machine measured: of each figure the
// better one, as among the rounds of one run, and layers that this one has not,
// if they have the same lengths and depths.
func (r *Result) merge(o *Result) error {
	if o.CPU != r.CPU || o.Level != r.Level || o.Cores != r.Cores || o.Width != r.Width {
		return fmt.Errorf("runs on %s, %s, %d cores, %d channels and on %s, %s, %d cores, %d channels: want two of one machine at one width",
			r.CPU, r.Level, r.Cores, r.Width, o.CPU, o.Level, o.Cores, o.Width)
	}
	less := func(x, y []int, now, other []float64) {
		for i, n := range x {
			if j := slices.Index(y, n); j >= 0 && other[j] > 0 && (now[i] == 0 || other[j] < now[i]) {
				now[i] = other[j]
			}
		}
	}
	for i := range r.Layers {
		a := &r.Layers[i]
		for _, b := range o.Layers {
			if b.Name == a.Name {
				less(r.Lengths, o.Lengths, a.Forward, b.Forward)
				less(r.Lengths, o.Lengths, a.ForwardAll, b.ForwardAll)
				less(r.Lengths, o.Lengths, a.Train, b.Train)
				less(r.Depths, o.Depths, a.Decode, b.Decode)
			}
		}
	}
	for _, b := range o.Layers {
		has := slices.ContainsFunc(r.Layers, func(a LayerResult) bool { return a.Name == b.Name })
		if !has && slices.Equal(r.Lengths, o.Lengths) && slices.Equal(r.Depths, o.Depths) {
			r.Layers = append(r.Layers, b)
		}
	}
	place := func(l LayerResult) int { // in the order of bench.Kinds
		if i := slices.IndexFunc(bench.Kinds, func(k bench.Kind) bool { return k.Name == l.Name }); i >= 0 && !l.Quadratic {
			return i
		} else if l.Quadratic {
			return len(bench.Kinds) + 1
		}
		return len(bench.Kinds)
	}
	slices.SortStableFunc(r.Layers, func(a, b LayerResult) int { return place(a) - place(b) })
	for level, l := range o.Limits {
		was, ok := r.Limits[level]
		if !ok && r.Limits == nil {
			r.Limits = map[string]Limit{}
		}
		r.Limits[level] = Limit{max(was.GFLOPS, l.GFLOPS), max(was.GBs, l.GBs), max(was.Tiles, l.Tiles)}
	}
	for _, b := range o.Kernels {
		if i := slices.IndexFunc(r.Kernels, func(a KernelResult) bool { return a.Name == b.Name && a.Level == b.Level }); i >= 0 {
			r.Kernels[i].GFLOPS = max(r.Kernels[i].GFLOPS, b.GFLOPS)
		} else {
			r.Kernels = append(r.Kernels, b)
		}
	}
	for _, b := range o.Sweeps {
		i := slices.IndexFunc(r.Sweeps, func(a Sweep) bool { return a.Name == b.Name && a.Level == b.Level })
		if i < 0 {
			r.Sweeps = append(r.Sweeps, b)
			continue
		}
		for j, n := range r.Sweeps[i].Sizes {
			if k := slices.Index(b.Sizes, n); k >= 0 {
				r.Sweeps[i].GFLOPS[j] = max(r.Sweeps[i].GFLOPS[j], b.GFLOPS[k])
			}
		}
	}
	for _, b := range o.Peers {
		i := slices.IndexFunc(r.Peers, func(a PeerResult) bool {
			return a.Peer == b.Peer && a.Work == b.Work && a.Threads == b.Threads
		})
		if i < 0 {
			r.Peers = append(r.Peers, b)
			continue
		}
		r.Peers[i].Ours, r.Peers[i].Theirs = min(r.Peers[i].Ours, b.Ours), min(r.Peers[i].Theirs, b.Theirs)
	}
	if len(r.Models) == 0 {
		r.Models = o.Models
	}
	if len(r.Absent) == 0 {
		r.Absent = o.Absent
	}
	r.Seconds += o.Seconds
	return nil
}

// check says what would keep a page from being drawn.
func (r *Result) check() error {
	if len(r.Lengths) == 0 || len(r.Layers) == 0 {
		return fmt.Errorf("%d lengths, %d layers: want a report.json of this version, with some of each", len(r.Lengths), len(r.Layers))
	}
	for _, l := range r.Layers {
		for _, n := range []int{len(l.Forward), len(l.ForwardAll), len(l.Train), len(l.State), len(l.Memory), len(l.TrainMemory)} {
			if n != len(r.Lengths) {
				return fmt.Errorf("layer %s has %d values, want one for each of %d lengths", l.Name, n, len(r.Lengths))
			}
		}
		if len(l.Decode) != len(r.Depths) {
			return fmt.Errorf("layer %s has %d values, want one for each of %d depths", l.Name, len(l.Decode), len(r.Depths))
		}
	}
	return nil
}

// softmax is the layer whose time grows with the square of the length, or nil.
func (r *Result) softmax() *LayerResult {
	for i := range r.Layers {
		if r.Layers[i].Quadratic {
			return &r.Layers[i]
		}
	}
	return nil
}

// A name is how a layer is called where people read, and the family that it is drawn with.
type name struct{ title, family string }

const (
	spaces    = "State spaces and convolutions"
	mambas    = "Mamba and other diagonal recurrences"
	rwkvs     = "RWKV"
	kernels   = "Linear attention"
	gated     = "Gated linear attention"
	deltas    = "Delta rules"
	remaining = "Other layers"
)

// families in the order of the page.
var families = []string{spaces, mambas, rwkvs, kernels, gated, deltas, remaining}

var names = map[string]name{
	"s4": {"S4", spaces}, "s4d": {"S4D", spaces}, "dss": {"DSS", spaces}, "h3": {"H3", spaces}, "hyena": {"Hyena", spaces},
	"s5": {"S5", mambas}, "lru": {"LRU", mambas}, "rglru": {"RG-LRU", mambas}, "mamba": {"Mamba", mambas}, "mamba2": {"Mamba-2", mambas}, "mamba3": {"Mamba-3", mambas}, "mamba3mimo": {"Mamba-3 MIMO", mambas},
	"rwkv4": {"RWKV-4", rwkvs}, "rwkv5": {"RWKV-5", rwkvs}, "rwkv6": {"RWKV-6", rwkvs}, "rwkv7": {"RWKV-7", rwkvs}, "rwkvq6": {"QRWKV6", rwkvs}, "rwkvq7": {"Qwerky-7", rwkvs},
	"linear": {"linear", kernels}, "rebased": {"ReBased", kernels}, "lightning": {"lightning", kernels}, "retnet": {"RetNet", kernels},
	"based": {"Based", kernels}, "baseconv": {"BaseConv", kernels},
	"gla": {"GLA", gated}, "simplegla": {"simple GLA", gated}, "hgrn": {"HGRN", gated}, "hgrn2": {"HGRN2", gated}, "gsa": {"gated slots", gated}, "loglinear": {"log-linear", gated},
	"deltanet": {"DeltaNet", deltas}, "gateddeltanet": {"Gated DeltaNet", deltas}, "deltaproduct": {"DeltaProduct", deltas}, "dplr": {"DPLR", deltas}, "kda": {"KDA", deltas},
	"window": {"window of 64", kernels}, "lolcats": {"LoLCATs", kernels}, "jrt": {"JRT", kernels},
	"softmax": {"softmax attention", ""},
}

func title(layer string) string {
	if n, ok := names[layer]; ok {
		return n.title
	}
	return layer
}

func family(layer string) string {
	if n, ok := names[layer]; ok {
		return n.family
	}
	return remaining
}

// slope is the exponent of y over x in the last measured octaves, up to four
// points; NaN where there are fewer than two.
func slope(x []int, y []float64) float64 {
	var lx, ly []float64
	for i := range x {
		if y[i] > 0 {
			lx, ly = append(lx, math.Log(float64(x[i]))), append(ly, math.Log(y[i]))
		}
	}
	if n := len(lx); n > 4 {
		lx, ly = lx[n-4:], ly[n-4:]
	}
	if len(lx) < 2 {
		return math.NaN()
	}
	_, b := stat.LinearRegression(lx, ly, nil, false)
	return b
}

// A crossover is the length from which one layer stays cheaper than another.
type crossover struct {
	length float64
	kind   crossKind
}

type crossKind int

const (
	unknown crossKind = iota // nothing to compare
	below                    // cheaper from the shortest length on, which length is
	within                   // cheaper from length on
	never                    // not cheaper up to the longest, which length is
)

func (c crossover) String() string {
	switch c.kind {
	case below:
		return fmt.Sprintf("below %s", short(c.length))
	case within:
		return round2(c.length)
	case never:
		return fmt.Sprintf("above %s", short(c.length))
	}
	return ""
}

// round2 is a length with two digits that count.
func round2(v float64) string {
	p := math.Pow(10, math.Floor(math.Log10(v))-1)
	return fmt.Sprintf("%.0f", math.Round(v/p)*p)
}

// cross finds from where on a is below b, among the lengths at which both were
// measured: the place that the fewest measurements speak against, each with
// the logarithm of its ratio, so that one that was disturbed does not move it.
// Between two lengths it is where the curves meet when both axes are logarithmic.
func cross(lengths []int, a, b []float64) crossover {
	var n, d []float64 // d = ln(a/b)
	for i := range lengths {
		if a[i] > 0 && b[i] > 0 {
			n, d = append(n, float64(lengths[i])), append(d, math.Log(a[i]/b[i]))
		}
	}
	if len(n) == 0 {
		return crossover{}
	}
	i, least := 0, math.Inf(1)
	for k := range len(d) + 1 {
		against := 0.0
		for j, v := range d {
			if (v < 0) == (j < k) {
				against += math.Abs(v)
			}
		}
		if against <= least {
			i, least = k, against
		}
	}
	switch i {
	case len(n):
		return crossover{n[len(n)-1], never}
	case 0:
		return crossover{n[0], below}
	}
	f := d[i-1] / (d[i-1] - d[i]) // d[i−1] ≥ 0 > d[i]: otherwise a neighbour of i had less against it
	return crossover{n[i-1] * math.Pow(n[i]/n[i-1], f), within}
}

// A crossRow is a layer's two crossovers.
type crossRow struct {
	layer    LayerResult
	one, all crossover
}

// crossings has a row for each layer but softmax attention, in the order measured.
func crossings(r *Result) (rows []crossRow) {
	q := r.softmax()
	if q == nil {
		return nil
	}
	for _, l := range r.Layers {
		if !l.Quadratic {
			rows = append(rows, crossRow{l, cross(r.Lengths, l.Forward, q.Forward), cross(r.Lengths, l.ForwardAll, q.ForwardAll)})
		}
	}
	return rows
}

// short is a number with k, M or G, in steps of 1024, as lengths and sizes are read.
func short(v float64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1 << 30, "G"}, {1 << 20, "M"}, {1 << 10, "k"}} {
		if v >= u.size {
			return fmt.Sprintf("%.3g%s", v/u.size, u.name)
		}
	}
	return fmt.Sprintf("%.3g", v)
}

// size is a number of bytes for people.
func size(bytes int) string {
	switch {
	case bytes == 0:
		return ""
	case bytes < 1<<10:
		return fmt.Sprintf("%d B", bytes)
	case bytes < 1<<20:
		return fmt.Sprintf("%.0f kB", float64(bytes)/(1<<10))
	case bytes < 10<<20:
		return fmt.Sprintf("%.1f MB", float64(bytes)/(1<<20))
	}
	return fmt.Sprintf("%.0f MB", float64(bytes)/(1<<20))
}

// last is the index of the longest length at which something was measured.
func last[T int | float64](values []T) int {
	for i, v := range slices.Backward(values) {
		if v > 0 {
			return i
		}
	}
	return -1
}
