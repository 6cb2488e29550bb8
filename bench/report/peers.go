package main

import (
	"context"
	"embed"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/subquad/subquad/fft"
	"github.com/subquad/subquad/tensor"
)

//go:embed peers
var peerSources embed.FS

// A PeerResult is the time of the same work, here and elsewhere.
type PeerResult struct {
	Peer    string  `json:"peer"`
	Work    string  `json:"work"`
	Threads int     `json:"threads"`
	Theirs  float64 `json:"theirs_us"`
	Ours    float64 `json:"ours_us"`
}

// Ratio is our time over theirs.
func (p PeerResult) Ratio() float64 { return p.Ours / p.Theirs }

// A work is something that peers measure too, under its key.
type work struct {
	key, name string
	run       func(threads int) func()
}

func works() (list []work) {
	product := func(name string, d tensor.DType, m, n, k int) {
		text, precision := "float32", tensor.Highest
		if d == tensor.BF16 { // the others round activations too
			text, precision = "bfloat16", tensor.Medium
		}
		shape := fmt.Sprintf("%d×%d×%d", m, n, k)
		if m == n && n == k {
			shape = fmt.Sprintf("%d³", n)
		}
		list = append(list, work{fmt.Sprintf("matmul-%s-%dx%dx%d", name, m, n, k), fmt.Sprintf("product %s, %s", shape, text), func(threads int) func() {
			x, w := ramp(m*k, -1, 1), tensor.As(d, tensor.From(ramp(n*k, -1, 1), n, k))
			s := tensor.NewScope(tensor.Workers(threads), tensor.MatMulPrecision(precision))
			return func() { s.Reset(); tensor.MatMulT(s.From(x, m, k), w) }
		}})
	}
	product("f32", tensor.F32, 512, 3072, 768)
	product("f32", tensor.F32, 1024, 1024, 1024)
	product("bf16", tensor.BF16, 512, 3072, 768)
	product("bf16", tensor.BF16, 1024, 1024, 1024)
	for _, n := range []int{1024, 4096} {
		list = append(list, work{fmt.Sprintf("attention-%d", n), fmt.Sprintf("softmax attention, %d tokens", n), func(threads int) func() {
			s := tensor.NewScope(tensor.Workers(threads))
			f := softmaxRun(s, n)
			return func() { s.Reset(); f() }
		}})
	}
	for _, n := range []int{4096, 65536} {
		list = append(list, work{fmt.Sprintf("conv-%d", n), fmt.Sprintf("long convolution, %d taps", n), func(threads int) func() {
			u, y := ramp(n*convChannels, -1, 1), make([]float32, n*convChannels)
			k, err := fft.NewKernel(ramp(n*convChannels, -1, 1), n, convChannels, n)
			if err != nil {
				panic(err) // of constant sizes
			}
			return func() {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads)) // as many as there are processors
				k.Conv(y, u, nil, 1, n)
			}
		}})
	}
	return list
}

// A peer is a library with the program of ours that times it.
type peer struct {
	name    string
	install string
	program func(dir string) ([]string, error) // the command, which takes the number of threads
}

func peerList() []peer {
	compiled := func(source string, libraries ...string) func(dir string) ([]string, error) {
		return func(dir string) ([]string, error) {
			src, err := extract(dir, source)
			if err != nil {
				return nil, err
			}
			program := strings.TrimSuffix(src, ".c")
			out, err := exec.Command("cc", append([]string{"-O3", "-march=native", "-fopenmp", "-o", program, src}, libraries...)...).CombinedOutput()
			if err != nil {
				return nil, fmt.Errorf("cc: %w: %s", err, out)
			}
			return []string{program}, nil
		}
	}
	return []peer{
		{"OpenBLAS", "Debian: apt install gcc libopenblas-dev", compiled("openblas.c", "-lopenblas")},
		{"FFTW", "Debian: apt install gcc libfftw3-dev", compiled("fftw.c", "-lfftw3f", "-lm")},
		{"PyTorch", "Debian: apt install python3-torch; or pip install torch", func(dir string) ([]string, error) {
			src, err := extract(dir, "pytorch.py")
			if err != nil {
				return nil, err
			}
			// The python3 that comes first need not be the one that a distribution's package is for.
			for _, python := range []string{"python3", "/usr/bin/python3"} {
				if exec.Command(python, "-c", "import torch").Run() == nil {
					return []string{python, src}, nil
				}
			}
			return nil, fmt.Errorf("no python3 has torch")
		}},
	}
}

// extract writes a peer's source into dir.
func extract(dir, source string) (string, error) {
	code, err := peerSources.ReadFile("peers/" + source)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, source)
	return path, os.WriteFile(path, code, 0o600)
}

// measurePeers runs small programs of ours that time other libraries, and the
// same work here, in turns; a library that is absent is named with the way to
// install it.
func measurePeers(ctx context.Context, r *Result) {
	rounds := 3
	if *quick {
		rounds = 1
	}
	dir, err := os.MkdirTemp("", "peers")
	if err != nil {
		r.Absent = append(r.Absent, fmt.Sprintf("all other libraries: %v", err))
		return
	}
	defer os.RemoveAll(dir)
	line := newLine()
	defer line.clear()
	counts := []int{1}
	if r.Cores > 1 {
		counts = append(counts, r.Cores)
	}
	list := works()
	type key struct {
		work    string
		threads int
	}
	ours := map[key]*float64{}
	libraries := peerList()
	start := time.Now()
	for i, p := range libraries {
		if ctx.Err() != nil {
			return
		}
		command, err := p.program(dir)
		if err != nil {
			r.Absent = append(r.Absent, fmt.Sprintf("%s (%s)", p.name, p.install))
			continue
		}
		theirs, label := map[key]float64{}, p.name
		for round := range rounds {
			for _, n := range counts {
				done, all := float64((i*rounds+round)*len(counts)), float64(len(libraries)*rounds*len(counts))
				line.say(time.Since(start), time.Duration(float64(time.Since(start))*(all-done)/max(1, done)), fmt.Sprintf("%s, %s", p.name, threads(n)))
				cmd := exec.CommandContext(ctx, command[0], append(command[1:], strconv.Itoa(n))...)
				cmd.Env = append(os.Environ(), fmt.Sprintf("OMP_NUM_THREADS=%d", n))
				text, err := cmd.Output()
				times, version := parse(string(text))
				if ctx.Err() != nil {
					return
				}
				if err != nil || len(times) == 0 {
					r.Absent = append(r.Absent, fmt.Sprintf("%s, which is here but failed: %v", p.name, err))
					continue
				}
				if version != "" {
					label = p.name + " " + version
				}
				for _, w := range list {
					us, ok := times[w.key]
					if !ok {
						continue
					}
					k := key{w.key, n}
					if was, ok := theirs[k]; !ok || us < was {
						theirs[k] = us
					}
					if ours[k] == nil {
						ours[k] = new(float64)
					}
					sample(ours[k], 1, w.run(n))
				}
			}
		}
		for _, w := range list {
			for _, n := range counts {
				if us, ok := theirs[key{w.key, n}]; ok {
					r.Peers = append(r.Peers, PeerResult{label, w.name, n, us, *ours[key{w.key, n}]})
				}
			}
		}
	}
	measureLlama(r, *llama)
}

// parse reads a peer program's lines, "work microseconds" and "version TEXT";
// others are none of ours.
func parse(text string) (times map[string]float64, version string) {
	times = map[string]float64{}
	for l := range strings.Lines(text) {
		f := strings.Fields(l)
		if len(f) != 2 {
			continue
		}
		if f[0] == "version" {
			version = f[1]
		} else if v, err := strconv.ParseFloat(f[1], 64); err == nil && v > 0 && !math.IsInf(v, 0) {
			times[f[0]] = v
		}
	}
	return times, version
}
