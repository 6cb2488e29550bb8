package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/subquad/subquad/fft"
	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/gemm"
	"github.com/subquad/subquad/linattn"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// A kernelCase is some work with the operations it takes and the bytes that
// must at least move.
type kernelCase struct {
	name        string
	level       hw.Level
	flop, bytes float64
	run         func()
}

func ramp(n int, lo, hi float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(lo + (hi-lo)*(0.5+0.5*math.Sin(float64(i)*0.7)))
	}
	return x
}

// vectorLevels are this machine's levels but the portable one.
func vectorLevels() []hw.Level {
	return slices.DeleteFunc(slices.Clone(hw.Levels()), func(l hw.Level) bool { return l == hw.Portable })
}

func kernelCases() (cases []kernelCase) {
	s := tensor.NewScope(tensor.Workers(1))
	add := func(name string, flop, bytes float64, f func()) {
		for _, l := range vectorLevels() {
			cases = append(cases, kernelCase{name, l, flop, bytes, func() { s.Reset(); f() }})
		}
	}
	product := func(name string, d tensor.DType, m, n, k int) {
		x, w := ramp(m*k, -1, 1), tensor.As(d, tensor.From(ramp(n*k, -1, 1), n, k))
		add(name, 2*float64(m)*float64(n)*float64(k), float64(4*m*k+w.Bytes()+4*m*n), func() { tensor.MatMulT(s.From(x, m, k), w) })
	}
	product("product 512×3072×768", tensor.F32, 512, 3072, 768)
	product("product 512×3072×768, bfloat16", tensor.BF16, 512, 3072, 768)
	product("product 1×8192×2048", tensor.F32, 1, 8192, 2048)
	product("product 1×8192×2048, bfloat16", tensor.BF16, 1, 8192, 2048)
	product("product 1×8192×2048, Q8_0", tensor.Q8_0, 1, 8192, 2048)
	product("product 1×8192×2048, Q4_0", tensor.Q4_0, 1, 8192, 2048)

	const T, E, N = 512, 1536, 16
	x, dt, bc := ramp(T*E, -1, 1), ramp(T*E, 0.001, 0.1), ramp(T*N, -1, 1)
	A := tensor.From(ramp(E*N, -16, -1), E, N)
	add("Mamba's scan", 28*T*E*N, 12*T*E, func() {
		scan.Selective(s.From(x, 1, T, E), s.From(dt, 1, T, E), A, s.From(bc, 1, T, N), s.From(bc, 1, T, N), nil, nil)
	})
	decay := ramp(T*E, 0.5, 0.99)
	add("HGRN's recurrence", 2*T*E, 12*T*E, func() { scan.Diagonal(s.From(decay, 1, T, E), s.From(x, 1, T, E), nil) })
	w, u := tensor.From(ramp(E, -2, -0.1), E), tensor.From(ramp(E, -1, 1), E)
	// Two exponentials of 14 instructions count as two operations each, and 12 more.
	add("RWKV-4's recurrence", 68*T*E, 12*T*E, func() {
		scan.WKV4(w, u, s.From(x, 1, T, E), s.From(x, 1, T, E), nil, nil, nil)
	})
	matrix := func(name string, H, K, V int, vector, rankOne bool) {
		q, v, g := ramp(T*H*K, -0.1, 0.1), ramp(T*H*V, -1, 1), ramp(T*H*K, -0.6, 0)
		ops, values := 6.0, float64(2*K+2*V)
		if rankOne {
			ops, values = 10, values+float64(2*K)
		}
		if vector {
			values += float64(K)
		}
		add(name, ops*float64(T*H*K*V), 4*float64(T*H)*values, func() {
			qs := s.From(q, 1, T, H, K)
			in := scan.MatrixInput{Q: qs, K: qs, V: s.From(v, 1, T, H, V)}
			if vector {
				in.LogDecay = s.From(g, 1, T, H, K)
			} else {
				in.LogDecay = s.From(g[:T*H], 1, T, H)
			}
			if rankOne {
				in.A, in.B = qs, qs
			}
			scan.Matrix(in, nil)
		})
	}
	matrix("Mamba-2's recurrence", 24, 128, 64, false, false)
	matrix("GLA's recurrence", 4, 64, 64, true, false)
	matrix("gated delta rule", 4, 64, 64, false, true)
	matrix("RWKV-7's recurrence", 12, 64, 64, true, true)

	add("softmax attention, 4096", softmaxFlop(4096), 16*4096*heads*headDim, softmaxRun(s, 4096))
	for _, n := range []int{4096, 65536} {
		add(fmt.Sprintf("long convolution, %d", n), convFlop(n), float64(12*n*convChannels), convRun(n))
	}
	if c, err := nn.NewShortConv(E, 4, true, true, rand.New(rand.NewPCG(1, 1))); err == nil {
		add("short convolution and SiLU", 40*T*E, 8*T*E, func() { c.Forward(s.From(x, 1, T, E), nil) })
	}
	add("exponential", 28*T*E, 8*T*E, func() { tensor.Exp(s.From(x, T, E)) })
	scale := tensor.From(ramp(E, 0.5, 1.5), E)
	add("RMSNorm", 4*T*E, 8*T*E, func() { tensor.RMSNorm(s.From(x, T, E), scale, 1e-5) })
	return cases
}

// The shapes that kernels, sweeps and peers have in common.
const heads, headDim, convChannels = 8, 64, 64

// softmaxFlop counts causal attention on half the square.
func softmaxFlop(n int) float64 { return 2 * float64(n) * float64(n) * heads * headDim }

func softmaxRun(s *tensor.Scope, n int) func() {
	q := ramp(n*heads*headDim, -1, 1)
	return func() {
		x := s.From(q, 1, n, heads, headDim)
		linattn.Softmax(x, x, x, linattn.SoftmaxOptions{}, nil)
	}
}

// convFlop is two transforms of twice the length and a product, 5·m·log₂ m for m complex points.
func convFlop(n int) float64 {
	return convChannels * (2*2.5*2*float64(n)*math.Log2(2*float64(n)) + 6*float64(n))
}

func convRun(n int) func() {
	u, y := ramp(n*convChannels, -1, 1), make([]float32, n*convChannels)
	k, err := fft.NewKernel(ramp(n*convChannels, -1, 1), n, convChannels, n)
	if err != nil {
		panic(err) // of constant sizes
	}
	return func() { k.Conv(y, u, nil, 1, n) }
}

func productFlop(n int) float64 { return 2 * float64(n) * float64(n) * float64(n) }

// A sweepCase is one kernel over growing sizes at one level.
type sweepCase struct {
	name  string
	level hw.Level
	sizes []int
	flop  func(n int) float64
	make  func(n int) func()
}

const (
	sweepProduct = "product n×n×n, float32"
	sweepHalf    = "product n×n×n, bfloat16 weights"
	sweepMedium  = "product n×n×n, bfloat16 weights, rounded activations"
	sweepConv    = "long convolution of n taps"
)

func sweepCases() (cases []sweepCase) {
	squares, taps := []int{32, 64, 128, 256, 512, 1024, 2048}, []int{256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536}
	for _, l := range vectorLevels() {
		half := func(prec gemm.Precision) func(n int) func() {
			return func(n int) func() {
				x, w, y := ramp(n*n, -1, 1), tensor.As(tensor.BF16, tensor.From(ramp(n*n, -1, 1), n, n)).Bits(), make([]float32, n*n)
				return func() { gemm.How{Precision: prec}.MulBF16(1, false, false, n, n, n, x, n, w, n, y, n) }
			}
		}
		cases = append(cases, sweepCase{sweepProduct, l, squares, productFlop, func(n int) func() {
			x, w, y := ramp(n*n, -1, 1), ramp(n*n, -1, 1), make([]float32, n*n)
			return func() { gemm.Mul(1, false, false, true, n, n, n, x, n, w, n, y, n) }
		}})
		if l == hw.AMX { // beyond AVX-512 it has tiles, for products only
			cases = append(cases, sweepCase{sweepHalf, l, squares, productFlop, half(gemm.Highest)}, sweepCase{sweepMedium, l, squares, productFlop, half(gemm.Medium)})
			continue
		}
		cases = append(cases, sweepCase{sweepConv, l, taps, convFlop, convRun})
	}
	return cases
}
