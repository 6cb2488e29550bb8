package bench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"github.com/subquad/subquad/fft"
	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/gemm"
	"github.com/subquad/subquad/internal/kernel/vec"
	"github.com/subquad/subquad/linattn"
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
	timedCold(b, flop, f)
}

// timedCold is timed for what takes so long that nothing is gained by a round before.
func timedCold(b *testing.B, flop float64, f func()) {
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
		if testing.Short() && s.m*s.n*s.k > 1<<26 {
			continue
		}
		x, w, y := random(s.m*s.k, -1, 1), random(s.n*s.k, -1, 1), make([]float32, s.m*s.n)
		flop := 2 * float64(s.m) * float64(s.n) * float64(s.k)
		name := fmt.Sprintf("type=f32/shape=%dx%dx%d", s.m, s.n, s.k)
		eachLevel(b, name, func(b *testing.B) {
			timed(b, flop, func() { gemm.Mul(1, false, false, true, s.m, s.n, s.k, x, s.k, w, s.k, y, s.n) })
			b.ReportMetric(perSecond(b, flop)/1e9, "GFLOP/s")
		})
		// bfloat16 weights, float32 in and out. At hw=amx the peak of float32 is no limit, for either type.
		half := tensor.As(tensor.BF16, tensor.From(w, s.n, s.k)).Bits()
		eachLevel(b, fmt.Sprintf("type=bf16/shape=%dx%dx%d", s.m, s.n, s.k), func(b *testing.B) {
			timed(b, flop, func() { gemm.MulBF16(1, false, false, s.m, s.n, s.k, x, s.k, half, s.k, y, s.n) })
			b.ReportMetric(perSecond(b, flop)/1e9, "GFLOP/s")
		})
		// At less than the highest precision, where there are tiles: peak-frac is of theirs.
		for _, prec := range []gemm.Precision{gemm.High, gemm.Medium} {
			how := gemm.How{Precision: prec}
			tiles := func(typ string, f func()) {
				if hw.Current() != hw.AMX {
					return
				}
				b.Run(fmt.Sprintf("type=%s/precision=%v/shape=%dx%dx%d/hw=amx", typ, prec, s.m, s.n, s.k), func(b *testing.B) {
					f()
					peak := gemm.PeakTileFLOPS()
					for b.Loop() {
						f()
					}
					b.ReportMetric(perSecond(b, flop)/max(peak, gemm.PeakTileFLOPS()), "peak-frac")
					b.ReportMetric(perSecond(b, flop)/1e9, "GFLOP/s")
				})
			}
			tiles("f32", func() { how.Mul(1, false, false, true, s.m, s.n, s.k, x, s.k, w, s.k, y, s.n) })
			tiles("bf16", func() { how.MulBF16(1, false, false, s.m, s.n, s.k, x, s.k, half, s.k, y, s.n) })
		}
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
	for _, d := range []tensor.DType{tensor.F32, tensor.BF16, tensor.F16, tensor.Q8_0, tensor.Q4_0, tensor.Q4_K, tensor.Q6_K} {
		for _, s := range []struct{ n, k int }{{768, 768}, {3072, 768}, {16384, 2048}} {
			if testing.Short() && s.n > 768 {
				continue
			}
			wide, x := tensor.From(random(s.n*s.k, -1, 1), s.n, s.k), random(s.k, -1, 1)
			eachLevel(b, fmt.Sprintf("type=%s/shape=%dx%d", strings.ToLower(d.String()), s.n, s.k), func(b *testing.B) {
				w := tensor.As(d, wide) // arranged for the level
				scope := tensor.NewScope(tensor.Workers(1))
				limit := gemm.ReadBandwidth(w.Bytes())
				for b.Loop() {
					scope.Reset()
					tensor.MatMulT(scope.From(x, 1, s.k), w)
				}
				limit = max(limit, gemm.ReadBandwidth(w.Bytes()))
				rate := perSecond(b, float64(w.Bytes()))
				b.ReportMetric(rate/1e9, "GB/s")
				b.ReportMetric(rate/limit, "peak-frac")
			})
		}
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

// Gated linear attention and the gated delta rule of 4 heads of 64×64, 1024 tokens.
func BenchmarkGLA(b *testing.B) {
	eachLevel(b, "n=1024/heads=4/dim=64", func(b *testing.B) { matrixState(b, 1024, 4, 64, 64, true, false) })
}

func BenchmarkGatedDelta(b *testing.B) {
	eachLevel(b, "n=1024/heads=4/dim=64", func(b *testing.B) { matrixState(b, 1024, 4, 64, 64, false, true) })
}

// Causal softmax attention, 8 heads of 64, counted on half the square.
func BenchmarkAttention(b *testing.B) {
	const H, D = 8, 64
	for _, T := range lengths(size(1024), 4096) {
		q := random(T*H*D, -1, 1)
		flop := 4 * float64(T) * float64(T) / 2 * H * D
		eachLevel(b, fmt.Sprintf("n=%d/heads=%d/dim=%d", T, H, D), func(b *testing.B) {
			inference(b, flop, func(s *tensor.Scope) {
				x := s.From(q, 1, T, H, D)
				linattn.Softmax(x, x, x, linattn.SoftmaxOptions{}, nil)
			})
			b.ReportMetric(perSecond(b, flop)/1e9, "GFLOP/s")
		})
	}
}

// Causal convolution of 64 channels with a kernel as long as the signal, its
// spectrum at hand. The operations are those of two transforms of twice the
// length and a product, 2.5·2n·log₂ 2n each.
func BenchmarkLongConv(b *testing.B) {
	const C = 64
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for n := 1024; n <= 65536; n *= 4 {
		x := random(n*C, -1, 1)
		kernel, err := fft.NewKernel(random(n*C, -1, 1), n, C, n)
		if err != nil {
			b.Fatal(err)
		}
		y := make([]float32, n*C)
		flop := C * (2*2.5*2*float64(n)*math.Log2(2*float64(n)) + 6*float64(n))
		eachLevel(b, fmt.Sprintf("n=%d/channels=%d", n, C), func(b *testing.B) {
			timed(b, flop, func() { kernel.Conv(y, x, nil, 1, n) })
			b.ReportMetric(1e9/perSecond(b, float64(n*C)), "ns/sample")
		})
	}
}
