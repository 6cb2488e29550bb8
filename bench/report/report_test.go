package main

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// powersOf are the values of a power law over lengths.
func powersOf(lengths []int, c, exponent float64) []float64 {
	y := make([]float64, len(lengths))
	for i, n := range lengths {
		y[i] = c * math.Pow(float64(n), exponent)
	}
	return y
}

var lengths = []int{256, 512, 1024, 2048, 4096, 8192}

func TestSlope(t *testing.T) {
	for _, want := range []float64{-0.5, 0, 1, 2} {
		if got := slope(lengths, powersOf(lengths, 3, want)); math.Abs(got-want) > 1e-12 {
			t.Errorf("slope of a power law is %g, want %g", got, want)
		}
	}
	// Only the last four measured points count, and zeros are not measured.
	y := []float64{1000, 1, 2, 4, 8, 0}
	if got := slope(lengths, y); math.Abs(got-1) > 1e-12 {
		t.Errorf("slope without the first and the last is %g, want 1", got)
	}
	if got := slope(lengths, make([]float64, len(lengths))); !math.IsNaN(got) {
		t.Errorf("slope of nothing is %g, want NaN", got)
	}
	if got := exponent(lengths, powersOf(lengths, 1, -0.001)); got != "0.00" {
		t.Errorf("a slope of −0.001 prints as %q, want 0.00", got)
	}
}

func TestCross(t *testing.T) {
	softmax := powersOf(lengths, 0.01, 1) // meets c at 100·c
	flat := func(c float64) []float64 { return powersOf(lengths, c, 0) }
	for _, c := range []struct {
		name   string
		a      []float64
		kind   crossKind
		length float64
		text   string
	}{
		{"between two lengths", flat(30), within, 3000, "3000"},
		{"at a length", flat(20.48), within, 2048, "2000"},
		{"from the start", flat(1), below, 256, "below 256"},
		{"not at all", flat(100), never, 8192, "above 8k"},
		{"one disturbed length, else cheaper", []float64{1, 1, 100, 1, 1, 1}, below, 256, "below 256"},
		{"a disturbed length before", []float64{1, 30, 30, 30, 30, 30}, within, 3000, "3000"},
		{"a disturbed length after", []float64{30, 30, 30, 30, 30, 90}, within, 3000, "3000"},
		{"nothing measured", make([]float64, 6), unknown, 0, ""},
	} {
		got := cross(lengths, c.a, softmax)
		if got.kind != c.kind || (c.length > 0 && math.Abs(got.length/c.length-1) > 1e-9) {
			t.Errorf("%s: %+v, want %v at %g", c.name, got, c.kind, c.length)
		}
		if c.text != "" && got.String() != c.text {
			t.Errorf("%s: printed %q, want %q", c.name, got, c.text)
		}
	}
	// Lengths at which one of the two was not measured do not count.
	a, b := flat(30), powersOf(lengths, 0.01, 1)
	a[5], b[4] = 0, 0
	if got := cross(lengths, a, b); got.kind != never || got.length != 2048 {
		t.Errorf("with two lengths left out: %+v, want never, up to 2048", got)
	}
}

// example is a result with everything in it.
func example() *Result {
	r := &Result{Date: "2026-01-02", CPU: "A <Processor>", Level: "avx512", Cores: 2, Width: 256, Seconds: 61, Lengths: lengths, Depths: []int{1024, 4096},
		Limits: map[string]Limit{"avx2": {GFLOPS: 64, GBs: 10}, "avx512": {GFLOPS: 128, GBs: 12}, "amx": {128, 12, 2000}},
		Kernels: []KernelResult{{"product 512×3072×768", "avx512", 100, 0.005}, {"product 512×3072×768", "avx2", 50, 0.005}, {"product 512×3072×768, bfloat16", "amx", 800, 0.004},
			{"exponential", "avx512", 60, 0.3}},
		Sweeps: []Sweep{{sweepProduct, "avx512", []int{64, 128, 256}, []float64{80, 90, 100}}, {sweepHalf, "amx", []int{64, 128, 256}, []float64{100, 400, 800}}, {sweepConv, "avx2", []int{256, 512, 1024}, []float64{30, 40, 35}}},
		Peers:  []PeerResult{{"OpenBLAS", "product 1024³, float32", 1, 2000, 1000}, {"OpenBLAS", "product 1024³, float32", 2, 1000, 600}},
		Models: []ModelResult{{Model: "x.gguf", Threads: 1, Prompt: 512, Gen: 128, PromptRate: 100, GenRate: 20, OurPrompt: 150, OurGen: 25}},
		Absent: []string{"FFTW (apt install it)"},
	}
	add := func(name string, quadratic bool, forward []float64) {
		l := LayerResult{Name: name, Quadratic: quadratic, Forward: forward, Decode: []float64{10, 11}}
		for i, v := range forward {
			l.ForwardAll = append(l.ForwardAll, v/2)
			train, trainBytes, state := 3*v, 1<<20*(i+1), 64<<10
			if lengths[i] > 4096 {
				train, trainBytes = 0, 0
			}
			if quadratic {
				state = 2048 * lengths[i]
			}
			l.Train, l.TrainMemory = append(l.Train, train), append(l.TrainMemory, trainBytes)
			l.State, l.Memory = append(l.State, state), append(l.Memory, 1<<20)
		}
		r.Layers = append(r.Layers, l)
	}
	add("mamba", false, powersOf(lengths, 20, 0.01))
	add("rwkv7", false, powersOf(lengths, 30, 0))
	add("a new layer", false, powersOf(lengths, 2, 0))
	add("softmax", true, powersOf(lengths, 0.01, 1))
	return r
}

func TestJSON(t *testing.T) {
	r := example()
	path := filepath.Join(t.TempDir(), "report.json")
	if err := write(filepath.Dir(path), r, nil); err != nil {
		t.Fatal(err)
	}
	got, err := load(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, r) {
		t.Errorf("read back\n%+v\nwant\n%+v", got, r)
	}
	for name, change := range map[string]func(r *Result){
		"no lengths":       func(r *Result) { r.Lengths = nil },
		"a value too many": func(r *Result) { r.Layers[1].Forward = append(r.Layers[1].Forward, 1) },
		"depths":           func(r *Result) { r.Depths = r.Depths[:1] },
	} {
		bad := example()
		change(bad)
		data, err := json.Marshal(bad)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := load(path); err == nil || !strings.Contains(err.Error(), "want") {
			t.Errorf("%s: error %v, want one that says what was expected", name, err)
		}
	}
}

func TestMerge(t *testing.T) {
	r, o := example(), example()
	o.Lengths, o.Depths = o.Lengths[1:], o.Depths[1:] // 512 … and 4096 only
	for i := range o.Layers {
		l := &o.Layers[i]
		l.Forward, l.ForwardAll, l.Train, l.State, l.Memory, l.TrainMemory = l.Forward[1:], l.ForwardAll[1:], l.Train[1:], l.State[1:], l.Memory[1:], l.TrainMemory[1:]
		l.Decode = l.Decode[1:]
	}
	o.Layers[0].Forward[0], o.Layers[0].Forward[1], o.Layers[0].Decode[0] = 1, 1000, 2
	r.Layers[0].Forward[3] = 0
	three := o.Layers[0].Forward[2]
	o.Kernels[0].GFLOPS, o.Kernels[1].GFLOPS = 1000, 1
	o.Kernels = append(o.Kernels, KernelResult{"another", "avx512", 1, 1})
	o.Sweeps[0].GFLOPS = []float64{1, 1, 200}
	o.Peers[0].Ours, o.Peers[0].Theirs = 500, 9000
	o.Limits["avx512"] = Limit{GFLOPS: 100, GBs: 20}
	want := r.Layers[0].Forward[2]
	if err := r.merge(o); err != nil {
		t.Fatal(err)
	}
	if f := r.Layers[0].Forward; f[1] != 1 || f[2] != want || f[3] != three {
		t.Errorf("forward %v, want 1, %g and %g after the first", f, want, three)
	}
	if d := r.Layers[0].Decode; d[0] != 10 || d[1] != 2 {
		t.Errorf("single tokens %v, want 10 and 2", d)
	}
	if r.Kernels[0].GFLOPS != 1000 || r.Kernels[1].GFLOPS != 50 || r.Kernels[len(r.Kernels)-1].Name != "another" {
		t.Errorf("kernels %v, want 1000, 50 and another", r.Kernels)
	}
	if g := r.Sweeps[0].GFLOPS; !reflect.DeepEqual(g, []float64{80, 90, 200}) {
		t.Errorf("a sweep %v, want 80, 90, 200", g)
	}
	if p := r.Peers[0]; p.Ours != 500 || p.Theirs != 2000 || len(r.Peers) != 2 {
		t.Errorf("a peer %+v of %d, want 500 and 2000 of 2", p, len(r.Peers))
	}
	if l := r.Limits["avx512"]; l != (Limit{GFLOPS: 128, GBs: 20}) {
		t.Errorf("a limit %v, want 128 and 20", l)
	}
	r, o = example(), example()
	r.Layers = slices.Delete(r.Layers, 1, 2)
	if err := r.merge(o); err != nil || !reflect.DeepEqual(r.Layers, example().Layers) {
		t.Errorf("%v, %d layers; want the one that was not there back in its place", err, len(r.Layers))
	}
	o.CPU = "another"
	if err := r.merge(o); err == nil || !strings.Contains(err.Error(), "want two of one machine") {
		t.Errorf("another machine: %v, want an error", err)
	}
}

func TestMarkdown(t *testing.T) {
	text := string(markdown(example(), example()))
	for _, want := range []string{
		"A <Processor>, avx512 instructions, layers of 256 channels.",
		"than softmax attention of the same width, on one thread and on 2 threads, and its state after 8k tokens. Softmax attention's keys and values take 16 MB there. The activations of a forward pass of that length, input and output among them, take 1.0 MB for softmax attention and from 1.0 MB to 1.0 MB for the others.",
		"| layer | one thread | 2 threads | state | layer | one thread | 2 threads | state |\n|---|---|---|---|---|---|---|---|\n| Mamba | 2200 | 2200 | 64 kB | a new layer | below 256 | below 256 | 64 kB |\n| RWKV-7 | 3000 | 3000 | 64 kB |  |  |  |  |\n",
		"| Mamba | 21.1 | 21.3 | 21.4 | 21.6 | 21.7 | 21.9 | 0.01 |",
		"| product 512×3072×768 | 50.0 | 0.78 | 100 | 0.78 |  |  |",
		"| product 1024³, float32 | OpenBLAS | 1 | 2.00 | 1.00 | 0.50 |",
		"| x.gguf | 1 | 100 | 150 | 20.0 | 25.0 |",
		"Not on this machine: FFTW (apt install it).",
		"| RWKV-7 | 1.00 | 1.00 |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// The page is whole, has every section, escapes what it is given, and its
// pictures are XML without anything that should have been replaced.
func TestPage(t *testing.T) {
	page, err := html(example(), example())
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for _, want := range []string{"overtakes softmax attention", "A &lt;Processor&gt;", "Memory over length", "at depth", "forward and backward", "Against the earlier run", "under the roof", "against the limit", "elsewhere", "FFTW (apt install it)", remaining, "a new layer", "</html>"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the page", want)
		}
	}
	for _, bad := range []string{"NaN", "Inf", "#01", markMiddle, markEnd, "http://", "https://", "ZgotmplZ"} {
		for _, line := range strings.Split(text, "\n") {
			if strings.Contains(line, bad) && !strings.Contains(line, "xmlns") {
				t.Errorf("%q in the page: %.200s", bad, line)
			}
		}
	}
	svgs := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(text, -1)
	if len(svgs) < 15 {
		t.Errorf("%d pictures, want at least 15", len(svgs))
	}
	for _, svg := range svgs {
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("a picture is no XML: %v\n%.300s", err, svg)
			}
		}
	}
	for _, use := range regexp.MustCompile(`var\(--[a-z0-9]+\)`).FindAllString(text, -1) {
		if name := use[4 : len(use)-1]; !strings.Contains(text, name+": #") {
			t.Fatalf("%s has no colour", name)
		}
	}
}

// A page is made of little too: one layer, short sequences, nothing else.
func TestSparsePage(t *testing.T) {
	r := &Result{Level: "portable", Cores: 1, Width: 64, Lengths: []int{256}, Layers: []LayerResult{
		{Name: "softmax", Quadratic: true, Forward: []float64{1}, ForwardAll: []float64{0}, Train: []float64{0}, State: []int{0}, Memory: []int{0}, TrainMemory: []int{0}, Decode: []float64{}}}}
	if _, err := html(r, r); err != nil {
		t.Error(err)
	}
	if text := markdown(r, r); len(text) == 0 {
		t.Error("no Markdown")
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct{ at, want []float64 }{
		{[]float64{10, 50, 90}, []float64{10, 50, 90}},
		{[]float64{50, 50, 50}, []float64{40, 50, 60}},
		{[]float64{0, 1, 2, 50}, []float64{0, 10, 20, 50}},
		{[]float64{96, 99, 100}, []float64{80, 90, 100}},
		{[]float64{44, 46, 58}, []float64{39.333333333333336, 49.333333333333336, 59.333333333333336}},
	} {
		if got := spread(c.at, 10, 0, 100); !reflect.DeepEqual(got, c.want) {
			t.Errorf("spread(%v) is %v, want %v", c.at, got, c.want)
		}
	}
}

func TestLlama(t *testing.T) {
	data, err := os.ReadFile("testdata/llama-bench.json")
	if err != nil {
		t.Fatal(err)
	}
	m, err := parseLlama(data)
	if err != nil {
		t.Fatal(err)
	}
	want := ModelResult{Model: "qwen2 7B Q4_K - Medium", Threads: 8, Prompt: 512, Gen: 128, PromptRate: 7237.21, GenRate: 120.178}
	if m != want {
		t.Errorf("%+v, want %+v", m, want)
	}
	for _, bad := range []string{"", "error: failed to load model", "[]", `[{"n_prompt": 512, "n_gen": 0, "avg_ts": 1}]`} {
		if _, err := parseLlama([]byte(bad)); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
}

func TestPeerOutput(t *testing.T) {
	times, version := parse("version 2.1\nmatmul-f32-1x2x3 12.5\nsome warning of a library\nconv-4096 nan\nconv-8 1e3\n")
	if want := map[string]float64{"matmul-f32-1x2x3": 12.5, "conv-8": 1000}; version != "2.1" || !reflect.DeepEqual(times, want) {
		t.Errorf("%v, %q; want %v, 2.1", times, version, want)
	}
	for _, w := range works() {
		found := false
		for _, source := range []string{"openblas.c", "fftw.c", "pytorch.py"} {
			code, err := peerSources.ReadFile("peers/" + source)
			if err != nil {
				t.Fatal(err)
			}
			kind, _, _ := strings.Cut(w.key, "-")
			found = found || strings.Contains(string(code), kind+"-")
		}
		if !found {
			t.Errorf("no peer does %s", w.key)
		}
	}
}

// What was not measured, as after an interrupt, leaves gaps and no nonsense.
func TestInterrupted(t *testing.T) {
	r := example()
	s := &schedule{}
	visits := 0
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 3 {
		s.add("a task", 1, func() time.Duration {
			if visits++; visits == 2 {
				cancel()
			}
			return 0
		})
	}
	s.run(ctx)
	if visits != 2 {
		t.Errorf("%d visits, want 2 of 3 tasks before the end", visits)
	}
	for i := range r.Layers {
		l := &r.Layers[i]
		clear(l.Decode)
		clear(l.Train)
		clear(l.TrainMemory)
		if i > 0 {
			clear(l.Forward)
			clear(l.ForwardAll)
			clear(l.State)
			clear(l.Memory)
		}
	}
	for i := range r.Kernels {
		r.Kernels[i].GFLOPS = 0
	}
	clear(r.Limits)
	clear(r.Sweeps[0].GFLOPS)
	page, err := html(r, example())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"page": string(page), "Markdown": string(markdown(r, example()))} {
		if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			i := max(strings.Index(text, "NaN"), strings.Index(text, "Inf"))
			t.Errorf("the %s has NaN or Inf: … %s", name, text[max(0, i-300):min(len(text), i+40)])
		}
	}
}

// A schedule visits what is short at least minRounds times and what is long once.
func TestSchedule(t *testing.T) {
	s := &schedule{atLeast: 20 * time.Millisecond}
	visits := make([]int, 3)
	for i, takes := range []time.Duration{0, 8 * time.Millisecond, 30 * time.Millisecond} {
		s.add("a task", 1, func() time.Duration {
			visits[i]++
			time.Sleep(takes)
			return takes
		})
	}
	s.run(t.Context())
	if visits[0] != maxRounds || visits[1] != minRounds || visits[2] != 1 {
		t.Errorf("%v visits to what takes 0, 8 and 30 ms of 20, want %d, %d and 1", visits, maxRounds, minRounds)
	}
	if _, left := s.left(); left != 0 {
		t.Errorf("%v left at the end, want 0", left)
	}
}

// A run of one layer over short sequences fills in all that it promises.
func TestMeasure(t *testing.T) {
	was := []any{*longest, *duration, *kernel, *peers, *width}
	defer func() {
		*longest, *duration, *kernel, *peers, *width = was[0].(int), was[1].(time.Duration), was[2].(bool), was[3].(bool), was[4].(int)
	}()
	*longest, *duration, *kernel, *peers, *width = 1024, 0, false, false, 64
	r, err := measure(regexp.MustCompile("^hgrn$"))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Layers) != 2 || r.Layers[0].Name != "hgrn" || !r.Layers[1].Quadratic {
		t.Fatalf("layers %+v, want hgrn and softmax", r.Layers)
	}
	for _, l := range r.Layers {
		for i, n := range r.Lengths {
			if l.Forward[i] <= 0 || l.Train[i] <= 0 || l.State[i] <= 0 || l.Memory[i] <= 0 || l.TrainMemory[i] <= 0 || (r.Cores > 1 && l.ForwardAll[i] <= 0) {
				t.Errorf("%s at %d tokens: %+v, want something everywhere", l.Name, n, l)
			}
		}
		if len(l.Decode) != 1 || l.Decode[0] <= 0 {
			t.Errorf("%s: %v a single token, want one time", l.Name, l.Decode)
		}
	}
	if _, err := html(r, nil); err != nil {
		t.Error(err)
	}
}
