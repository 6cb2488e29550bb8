// Command lmbench measures a whole language model: reading a prompt, and
// generating tokens one by one, at an optional depth of context.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/gemm"
	"github.com/subquad/subquad/lm"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

var (
	config  = flag.String("config", "mamba-130m", "model of random weights: "+strings.Join(slices.Sorted(maps.Keys(configs)), ", "))
	path    = flag.String("model", "", "measure this checkpoint instead")
	dtype   = flag.String("dtype", "f32", "how matrices are held: "+strings.Join(slices.Sorted(maps.Keys(dtypes)), ", "))
	threads = flag.Int("threads", 1, "goroutines; 0 means one a core")
	prompt  = flag.Int("prompt", 512, "tokens of the prompt")
	gen     = flag.Int("gen", 128, "tokens to generate")
	depth   = flag.Int("depth", 0, "tokens read before generation begins, beside the prompt")
	batch   = flag.Int("batch", 1, "sequences that generate at once, a token of each in a step")
	klPath  = flag.String("kl", "", "instead, print what narrowing the matrices does to the model's distributions: on this text, for a model of bytes, or on its own (self)")
	asJSON  = flag.Bool("json", false, "print the result as JSON")
	precise = flag.String("precision", "highest", "of matrix products while the prompt is read, where there are tiles or weights in blocks: "+strings.Join(precisions, ", "))
	rounds  = flag.Int("rounds", 3, "times the prompt is read; the best counts")
)

// configs have the shapes of published models.
var configs = map[string]func() (*lm.Model, error){
	"mamba-130m": func() (*lm.Model, error) {
		return lm.New(lm.Config{ModelType: "mamba", VocabSize: 50280, HiddenSize: 768, NumLayers: 24, Tied: true})
	},
	"mamba2-130m": func() (*lm.Model, error) {
		return lm.New(lm.Config{ModelType: "mamba2", VocabSize: 50288, HiddenSize: 768, NumLayers: 24, NumSSMHeads: 24, HeadDim: 64, StateSize: 128, Groups: 1, Tied: true})
	},
	"rwkv7-191m": func() (*lm.Model, error) {
		return lm.NewRWKV(lm.RWKVConfig{Version: 7, Vocab: 65536, DModel: 768, NumLayers: 12})
	},
	"rwkv6-160m": func() (*lm.Model, error) {
		m, err := lm.NewRWKV(lm.RWKVConfig{Version: 6, Vocab: 65536, DModel: 768, NumLayers: 12, Empty: true})
		if err == nil { // its authors' orthogonal matrices would take half a minute
			rng := nn.NewRNG(1)
			for _, p := range m.Params() {
				if p.Matrix {
					d := p.Data()
					for i := range d {
						d[i] = (rng.Float32() - 0.5) / 16
					}
				}
			}
		}
		return m, err
	},
	"llama-124m": func() (*lm.Model, error) {
		return lm.New(lm.Config{ModelType: "llama", VocabSize: 50280, HiddenSize: 768, NumLayers: 12, NumHeads: 12, NumKVHeads: 12, IntermediateSize: 2048, Tied: true})
	},
}

var precisions = []string{"highest", "high", "medium"} // tensor.Highest and so on

var dtypes = map[string]tensor.DType{"f32": tensor.F32, "bf16": tensor.BF16, "f16": tensor.F16,
	"q8_0": tensor.Q8_0, "q4_0": tensor.Q4_0, "q4_k": tensor.Q4_K, "q6_k": tensor.Q6_K}

// A report is what is printed; its JSON keys are an interface.
type report struct {
	Model       string  `json:"model"`
	DType       string  `json:"dtype"`
	Precision   string  `json:"precision"`
	Level       string  `json:"level"`
	Threads     int     `json:"threads"`
	Prompt      int     `json:"prompt"`
	Gen         int     `json:"gen"`
	Depth       int     `json:"depth"`
	Batch       int     `json:"batch"`
	Weights     int     `json:"weights"`
	WeightBytes int     `json:"weight_bytes"`
	Prefill     float64 `json:"prefill_tok_s"`
	Decode      float64 `json:"decode_tok_s"` // of all sequences
	PeakRSS     int     `json:"peak_rss_bytes"`
	StateBytes  int     `json:"state_bytes"`
	PeakGFLOPS  float64 `json:"peak_gflops"`    // one core's multiply-adds, in the same run
	Bandwidth   float64 `json:"bandwidth_gbs"`  // one core reading as many bytes as the weights have
	DecodeFrac  float64 `json:"decode_of_peak"` // steps a second against bandwidth over weights
}

func main() {
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: go run ./bench/lmbench [flags]\n\nMeasures a language model: prompt and generation in tokens a second, memory, and the machine's limits beside them.")
		flag.PrintDefaults()
	}
	flag.Parse()
	if *klPath != "" {
		if err := runKL(); err != nil {
			fmt.Fprintln(os.Stderr, "lmbench:", err)
			os.Exit(1)
		}
		return
	}
	r, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "lmbench:", err)
		os.Exit(1)
	}
	if *asJSON {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		if err := e.Encode(r); err != nil {
			fmt.Fprintln(os.Stderr, "lmbench:", err)
			os.Exit(1)
		}
		return
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "%s\t%s, %s, %s precision, %d threads, %.0f M weights in %.0f MB\n", r.Model, r.DType, r.Level, r.Precision, r.Threads, float64(r.Weights)/1e6, float64(r.WeightBytes)/1e6)
	fmt.Fprintf(out, "prompt of %d\t%.1f tokens/s\n", r.Prompt, r.Prefill)
	fmt.Fprintf(out, "generation of %d at depth %d, %d at once\t%.1f tokens/s, %.2f of what reading the weights takes\n", r.Gen, r.Depth, r.Batch, r.Decode, r.DecodeFrac)
	fmt.Fprintf(out, "memory\t%.0f MB at most, state %.2f MB\n", float64(r.PeakRSS)/1e6, float64(r.StateBytes)/1e6)
	fmt.Fprintf(out, "one core\t%.0f GFLOP/s, %.1f GB/s\n", r.PeakGFLOPS, r.Bandwidth)
	out.Flush()
}

// model is the one to measure, in float32.
func model() (*lm.Model, error) {
	if *path != "" {
		return lm.Load(*path)
	}
	make, ok := configs[*config]
	if !ok {
		return nil, fmt.Errorf("-config %q: want one of %s", *config, strings.Join(slices.Sorted(maps.Keys(configs)), ", "))
	}
	return make()
}

func runKL() error {
	m, err := model()
	if err != nil {
		return err
	}
	text, err := klText(*klPath, m.Vocab())
	if err != nil {
		return err
	}
	rows, err := kl(model, text)
	if err != nil {
		return err
	}
	if *asJSON {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(rows)
	}
	printKL(os.Stdout, rows)
	return nil
}

func run() (r report, err error) {
	d, ok := dtypes[*dtype]
	if !ok {
		return r, fmt.Errorf("-dtype %q: want one of %s", *dtype, strings.Join(slices.Sorted(maps.Keys(dtypes)), ", "))
	}
	precision := slices.Index(precisions, *precise)
	if precision < 0 {
		return r, fmt.Errorf("-precision %q: want one of %s", *precise, strings.Join(precisions, ", "))
	}
	if *prompt < 1 || *gen < 1 || *depth < 0 || *rounds < 1 || *batch < 1 {
		return r, fmt.Errorf("-prompt %d, -gen %d, -depth %d, -rounds %d, -batch %d: want at least 1, 1, 0, 1, 1", *prompt, *gen, *depth, *rounds, *batch)
	}
	name := *config
	if *path != "" {
		name = *path
	}
	m, err := model()
	if err != nil {
		return r, err
	}
	if d != tensor.F32 {
		m.Narrow(d)
	}
	workers := *threads
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	r = report{Model: name, DType: *dtype, Precision: *precise, Level: hw.Current().String(), Threads: workers, Prompt: *prompt, Gen: *gen, Depth: *depth, Batch: *batch, Weights: m.Params().Count()}
	for _, p := range m.Params() {
		r.WeightBytes += p.Bytes()
	}
	limits := func() {
		r.PeakGFLOPS = max(r.PeakGFLOPS, gemm.PeakFLOPS()/1e9)
		r.Bandwidth = max(r.Bandwidth, gemm.ReadBandwidth(r.WeightBytes)/1e9)
	}
	limits()
	forgetPeak() // that buffer, and what making the model took

	ids := make([]int, max(*prompt, 512))
	for i := range ids {
		ids[i] = (i*7919 + 13) % m.Vocab()
	}
	s := tensor.NewScope(tensor.Workers(workers), tensor.MatMulPrecision(tensor.Precision(precision)))
	text := make([][]int, 1, *batch)
	read := func(st *tensor.State, n int) (time.Duration, error) {
		start := time.Now()
		for n > 0 {
			k := min(n, 512)
			s.Reset()
			for b := range text {
				text[b] = ids[:k]
			}
			if _, err := m.Last(s, text, st); err != nil {
				return 0, err
			}
			n -= k
		}
		return time.Since(start), nil
	}
	var st *tensor.State
	best := time.Duration(1<<63 - 1)
	for range *rounds {
		st = m.NewState(1)
		t, err := read(st, *prompt)
		if err != nil {
			return r, err
		}
		best = min(best, t)
	}
	r.Prefill = float64(*prompt) / best.Seconds()
	if *batch > 1 { // the sequences that generate have read the same
		text, st = text[:*batch], m.NewState(*batch)
		if _, err := read(st, *prompt); err != nil {
			return r, err
		}
	}
	if _, err := read(st, *depth); err != nil {
		return r, err
	}
	next := make([][]int, *batch)
	for b := range next {
		next[b] = []int{1 + b}
	}
	step := func() error {
		s.Reset()
		_, err := m.Last(s, next, st)
		for _, id := range next {
			id[0] = (id[0]*31 + 7) % m.Vocab()
		}
		return err
	}
	s = tensor.NewScope(tensor.Workers(workers)) // as Generate does
	s.StartTeam()
	defer s.StopTeam()
	if err := step(); err != nil {
		return r, err
	}
	start := time.Now()
	for range *gen {
		if err := step(); err != nil {
			return r, err
		}
	}
	steps := float64(*gen) / time.Since(start).Seconds()
	r.Decode = steps * float64(*batch)
	r.StateBytes = st.Bytes()
	r.PeakRSS = peakRSS()
	limits()
	embedding := 0
	if m.Head.Weight != m.Embedding.Weight {
		embedding = m.Embedding.Weight.Bytes() // one row of it is read
	}
	r.DecodeFrac = steps * float64(r.WeightBytes-embedding) / (r.Bandwidth * 1e9)
	return r, nil
}

// forgetPeak gives back what is free and, where the system can, begins to count the peak anew.
func forgetPeak() {
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // without it the peak includes loading
}

// peakRSS is the most memory that this process has held, where the system tells.
func peakRSS() int {
	status, err := os.ReadFile("/proc/self/status")
	if err == nil {
		for line := range strings.Lines(string(status)) {
			var kb int
			if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kb); n == 1 {
				return kb << 10
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.Sys)
}
