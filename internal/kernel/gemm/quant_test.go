package gemm

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/subquad/subquad/hw"
)

// blocks are n random numbers of type q, every bit of them but for scales that are ordinary numbers.
func randomBlocks(r *rand.Rand, q Quant, n int) []byte {
	numbers, size := q.Block()
	b := make([]byte, n/numbers*size)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	for i := 0; i < len(b); i += size {
		at := []int{i}
		switch q {
		case Q4_K:
			at = []int{i, i + 2}
		case Q6_K:
			at = []int{i + 208}
		}
		for _, j := range at {
			putHalf(b[j:], float32(r.NormFloat64()/64))
		}
	}
	return b
}

func TestDequantize(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		for q := range Quant(len(quants)) {
			src := randomBlocks(r, q, 1024)
			want, got := make([]float32, 1024), make([]float32, 1024)
			q.dequantizeGeneric(want, src)
			q.Dequantize(got, src)
			for i := range want {
				if math.Float32bits(want[i]) != math.Float32bits(got[i]) {
					t.Fatalf("%v: number %d is %v, want %v", q, i, got[i], want[i])
				}
			}
		}
	})
}

// Narrowing and widening again is within half a step of each group's range.
func TestQuantize(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	x := make([]float32, 2048)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	clear(x[:256])
	for q, bound := range map[Quant]float64{Q8_0: 0.02, Q4_0: 0.32, Q4_K: 0.25, Q6_K: 0.09} {
		b := make([]byte, q.RowBytes(len(x)))
		q.Quantize(b, x)
		y := make([]float32, len(x))
		q.Dequantize(y, b)
		worst := 0.0
		for i := range x {
			worst = max(worst, math.Abs(float64(x[i]-y[i])))
		}
		if !(worst < bound) || worst == 0 {
			t.Errorf("%v: off by up to %.3f", q, worst)
		}
		again := make([]byte, len(b))
		if q == Q8_0 { // what is representable stays
			q.Quantize(again, y)
			z := make([]float32, len(x))
			q.Dequantize(z, again)
			for i := range y {
				if d := math.Abs(float64(y[i] - z[i])); d > 2e-3*3 {
					t.Fatalf("%v: %v became %v", q, y[i], z[i])
				}
			}
		}
	}
}

func TestHalfRounding(t *testing.T) {
	for h := range 1 << 16 {
		v := widenF16(uint16(h))
		if v != v {
			if n := widenF16(narrowF16(v)); n == n {
				t.Fatalf("NaN %#x became %v", h, n)
			}
			continue
		}
		if got := narrowF16(v); got != uint16(h) {
			t.Fatalf("%#x, which is %v, became %#x", h, v, got)
		}
	}
	for v, want := range map[float32]uint16{65519: 0x7bff, 65520: 0x7c00, 1e-8: 0, 3e-8: 1, 1 + 1.0/2048: 0x3c00, 1 + 3.0/2048: 0x3c02} {
		if got := narrowF16(v); got != want {
			t.Errorf("%v became %#x, want %#x", v, got, want)
		}
	}
}

// truth is a·wᵀ in float64, and the sum of the sizes of each element's products.
func truth(m, n, k int, a, w []float32) (want, size []float64) {
	want, size = make([]float64, m*n), make([]float64, m*n)
	for i := range m {
		for j := range n {
			for l := range k {
				p := float64(a[i*k+l]) * float64(w[j*k+l])
				want[i*n+j] += p
				size[i*n+j] += math.Abs(p)
			}
		}
	}
	return want, size
}

func TestMulQuant(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(7, 8))
		for q := range Quant(len(quants)) {
			block, _ := q.Block()
			for _, s := range [][3]int{{1, 1, 1}, {1, 4, 3}, {1, 37, 2}, {1, 70, 5}, {2, 5, 1}, {3, 64, 4}, {2, 70, 5}, {4, 3, 3}, {5, 130, 2}, {7, 65, 1}, {8, 9, 6}, {16, 33, 3}, {17, 35, 3}, {40, 70, 2}} {
				m, n, k := s[0], s[1], s[2]*block
				a, b := make([]float32, m*k), randomBlocks(r, q, n*k)
				for i := range a {
					a[i] = float32(r.NormFloat64())
				}
				w := make([]float32, n*k)
				q.Dequantize(w, b)
				want, size := truth(m, n, k, a, w)
				var first []float32
				for _, workers := range []int{1, 3} {
					c := make([]float32, m*n)
					MulQuant(workers, false, q, m, n, k, a, k, b, c, n)
					for i := range c {
						if e := math.Abs(float64(c[i]) - want[i]); !(e <= 3e-7*size[i]) {
							t.Fatalf("%v %dx%dx%d: element %d is %v, want %v", q, m, n, k, i, c[i], want[i])
						}
						if first != nil && c[i] != first[i] {
							t.Fatalf("%v %dx%dx%d: element %d depends on the workers", q, m, n, k, i)
						}
					}
					first = c
				}
				c := append([]float32(nil), first...)
				MulQuant(1, true, q, m, n, k, a, k, b, c, n)
				for i := range c {
					if e := math.Abs(float64(c[i]) - 2*want[i]); !(e <= 6e-7*size[i]) {
						t.Fatalf("%v %dx%dx%d: added up, element %d is %v, want %v", q, m, n, k, i, c[i], 2*want[i])
					}
				}
			}
		}
	})
}

func BenchmarkQuant(b *testing.B) {
	const n, k = 3072, 1536
	r := rand.New(rand.NewPCG(1, 2))
	for q := range Quant(len(quants)) {
		w := randomBlocks(r, q, n*k)
		for _, m := range []int{1, 4, 512} {
			a, c := make([]float32, m*k), make([]float32, m*n)
			for _, l := range hw.Levels() {
				b.Run(fmt.Sprintf("type=%v/m=%d/hw=%v", q, m, l), func(b *testing.B) {
					was := hw.Current()
					defer hw.Set(was)
					hw.Set(l)
					limit := ReadBandwidth(len(w))
					for b.Loop() {
						MulQuant(1, false, q, m, n, k, a, k, w, c, n)
					}
					rate := float64(b.N) / b.Elapsed().Seconds()
					b.ReportMetric(rate*float64(len(w))/1e9, "GB/s")
					b.ReportMetric(rate*float64(len(w))/limit, "peak-frac")
					b.ReportMetric(rate*2*float64(m*n*k)/1e9, "GFLOP/s")
				})
			}
		}
	}
}

// The blocks in testdata were written by ggml, and widened by it: the floats are its own.
func TestDequantizeAsGGML(t *testing.T) {
	levels(t, func(t *testing.T) {
		for q := range Quant(len(quants)) {
			name := "testdata/" + strings.ToLower(q.String())
			blocks, err := os.ReadFile(name + ".blocks")
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(name + ".f32")
			if err != nil {
				t.Fatal(err)
			}
			got := make([]float32, len(want)/4)
			q.Dequantize(got, blocks)
			for i, v := range got {
				if w := binary.LittleEndian.Uint32(want[4*i:]); math.Float32bits(v) != w {
					t.Fatalf("%v: number %d is %v, want %v", q, i, v, math.Float32frombits(w))
				}
			}
		}
	})
}
