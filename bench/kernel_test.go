package bench

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/gemm"
	"github.com/subquad/subquad/internal/kernel/vec"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

func random(n int, lo, hi float32) []float32 {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	x := make([]float32, n)
	for i := range x {
		x[i] = lo + (hi-lo)*rng.Float32()
	}
	return x
}

// eachLevel runs f at every instruction level of this machine.
func eachLevel(b *testing.B, name string, f func(b *testing.B)) {
	was := hw.Current()
	defer hw.Set(was)
	for _, l := range hw.Levels() {
		b.Run(fmt.Sprintf("%s/hw=%s", name, l), func(b *testing.B) {
			if err := hw.Set(l); err != nil {
				b.Fatal(err)
			}
			f(b)
		})
	}
}

// perSecond is how often the timed loop did n things in a second.
func perSecond(b *testing.B, n float64) float64 {
	return n * float64(b.N) / b.Elapsed().Seconds()
}

// timed runs f and reports what fraction of the multiply-add rate of one core,
// measured just before and after at the same level, its flop operations a
// round come to: an instruction on a vector counts as one multiply-add.
func timed(b *testing.B, flop float64, f func()) {
	f() // memory is taken once
	b.ReportAllocs()
	peak := gemm.PeakFLOPS()
	for b.Loop() {
		f()
	}
	peak = max(peak, gemm.PeakFLOPS()) // the clock moves: the better of the two
	b.ReportMetric(perSecond(b, flop)/peak, "peak-frac")
}

// Products x·wᵀ of a Linear layer: x is m×k, w is n×k.
func BenchmarkMatMul(b *testing.B) {
	for _, s := range []struct{ m, n, k int }{
		{512, 3072, 768}, {1024, 1024, 1024}, {512, 768, 1536}, {64, 2048, 2048}, {8, 2048, 2048}, {512, 768, 48}, {64, 64, 64},
	} {
		x, w, y := random(s.m*s.k, -1, 1), random(s.n*s.k, -1, 1), make([]float32, s.m*s.n)
		flop := 2 * float64(s.m) * float64(s.n) * float64(s.k)
		name := fmt.Sprintf("type=f32/shape=%dx%dx%d", s.m, s.n, s.k)
		eachLevel(b, name, func(b *testing.B) {
			timed(b, flop, func() { gemm.Mul(1, false, false, true, s.m, s.n, s.k, x, s.k, w, s.k, y, s.n) })
			b.ReportMetric(perSecond(b, flop)/1e9, "GFLOP/s")
		})
		b.Run(name+"/hw=gonum", func(b *testing.B) {
			for b.Loop() {
				gonum.Implementation{}.Sgemm(blas.NoTrans, blas.Trans, s.m, s.n, s.k, 1, x, s.k, w, s.k, 0, y, s.n)
			}
			b.ReportMetric(perSecond(b, flop)/1e9, "GFLOP/s")
		})
	}
}

// One token through a Linear layer: bound by reading the weights.
func BenchmarkMatVec(b *testing.B) {
	for _, s := range []struct{ n, k int }{{768, 768}, {3072, 768}, {16384, 2048}} {
		x, w, y := random(s.k, -1, 1), random(s.n*s.k, -1, 1), make([]float32, s.n)
		eachLevel(b, fmt.Sprintf("type=f32/shape=%dx%d", s.n, s.k), func(b *testing.B) {
			limit := gemm.ReadBandwidth(4 * len(w))
			for b.Loop() {
				gemm.Mul(1, false, false, true, 1, s.n, s.k, x, s.k, w, s.k, y, s.n)
			}
			limit = max(limit, gemm.ReadBandwidth(4*len(w)))
			rate := perSecond(b, 4*float64(len(w)))
			b.ReportMetric(rate/1e9, "GB/s")
			b.ReportMetric(rate/limit, "peak-frac")
		})
	}
}

// expOps are the arithmetic instructions of an exponential: bounds, reduction,
// six steps of the polynomial, scaling.
const expOps = 14

func BenchmarkExp(b *testing.B) {
	x, y := random(4096, -10, 10), make([]float32, 4096)
	eachLevel(b, "n=4096", func(b *testing.B) {
		timed(b, 2*expOps*4096, func() { vec.Exp(y, x) })
		b.ReportMetric(1e9/perSecond(b, 4096), "ns/element")
	})
}

// inference times f, which makes tensors in s, with memory reused from round to round.
func inference(b *testing.B, flop float64, f func(s *tensor.Scope)) {
	s := tensor.NewScope(tensor.Workers(1))
	timed(b, flop, func() {
		s.Reset()
		f(s)
	})
}

// Mamba-130m's scan: 1536 channels of 16 states, 512 tokens.
func BenchmarkSelectiveScan(b *testing.B) {
	const T, E, N = 512, 1536, 16
	x, dt, y := random(T*E, -1, 1), random(T*E, 0.001, 0.1), random(T*N, -1, 1)
	A := random(E*N, -16, -1)
	eachLevel(b, fmt.Sprintf("n=%d/channels=%d/states=%d", T, E, N), func(b *testing.B) {
		a, d := tensor.From(A, E, N), tensor.From(random(E, -1, 1), E)
		// The exponential's bounds and reduction are shorter here; two products and two sums come on top.
		inference(b, 2*expOps*T*E*N, func(s *tensor.Scope) {
			scan.Selective(s.From(x, 1, T, E), s.From(dt, 1, T, E), a, s.From(y, 1, T, N), s.From(y, 1, T, N), d, nil)
		})
		b.ReportMetric(1e9/perSecond(b, T*E*N), "ns/element")
	})
}

func matrixState(b *testing.B, T, H, K, V int, decay, rank1 bool) {
	q, v := random(T*H*K, -0.1, 0.1), random(T*H*V, -1, 1)
	d := random(T*H*K, -0.6, 0)
	ops := 3 // decay, key, output
	if rank1 {
		ops = 5
	}
	inference(b, float64(2*ops*T*H*K*V), func(s *tensor.Scope) {
		qs := s.From(q, 1, T, H, K)
		in := scan.MatrixInput{Q: qs, K: qs, V: s.From(v, 1, T, H, V)}
		if decay {
			in.LogDecay = s.From(d, 1, T, H, K)
		} else {
			in.LogDecay = s.From(d[:T*H], 1, T, H)
		}
		if rank1 {
			in.A, in.B = qs, qs
		}
		scan.Matrix(in, nil)
	})
	b.ReportMetric(1e9/perSecond(b, float64(T*H*K*V)), "ns/element")
}

// RWKV-7 of 768 channels: 12 heads of 64×64, decay per channel and a rank-one correction.
func BenchmarkRWKV7(b *testing.B) {
	eachLevel(b, "n=512/heads=12/dim=64", func(b *testing.B) { matrixState(b, 512, 12, 64, 64, true, true) })
}

// Mamba-2 130m: 24 heads of 64 channels and 128 states, one decay a head.
func BenchmarkSSD(b *testing.B) {
	eachLevel(b, "n=512/heads=24/dim=64/states=128", func(b *testing.B) { matrixState(b, 512, 24, 128, 64, false, false) })
}
