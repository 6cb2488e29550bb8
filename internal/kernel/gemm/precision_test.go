package gemm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/subquad/subquad/hw"
)

// Products at each precision and of every type of B, with rows, columns and terms that
// fill no tile, against float64: errors relative to the sum of the sizes of an element's products.
func TestPrecisions(t *testing.T) {
	// Measured: with tiles 7e-8, 1e-6 and 8e-4; in float32 3.5e-7 among all elements, 1.7e-7 among those taken here.
	bounds := map[Precision]float64{Highest: 5e-7, High: 2e-6, Medium: 1.5e-3}
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(31, 32))
		worst := map[Precision]float64{}
		for _, s := range [][3]int{{97, 130, 256}, {64, 96, 512}, {33, 49, 768}, {70, 200, 1024}} {
			m, n, k := s[0], s[1], s[2]
			a, w := random(r, m*k), random(r, n*k)
			for prec, bound := range bounds {
				if prec != Highest && !hw.Current().Has(hw.AMX) {
					continue // see TestPrecisionWithoutTiles
				}
				check := func(name string, w []float32, mul func(workers int, c []float32)) {
					c, again := make([]float32, m*n), make([]float32, m*n)
					mul(1, c)
					mul(7, again)
					sameBits(t, again, c)
					for i := 0; i < m; i += 7 {
						for j := 0; j < n; j += 5 {
							var sum, mag float64
							for q := range k {
								v := float64(a[i*k+q]) * float64(w[j*k+q])
								sum, mag = sum+v, mag+math.Abs(v)
							}
							e := math.Abs(float64(c[i*n+j])-sum) / mag
							worst[prec] = max(worst[prec], e)
							if !(e <= bound) {
								t.Fatalf("%v %s, precision %v: c[%d,%d] is off by %.2g of the products' sizes, want %.2g", s, name, prec, i, j, e, bound)
							}
						}
					}
				}
				check("float32", w, func(workers int, c []float32) {
					How{Precision: prec}.Mul(workers, false, false, true, m, n, k, a, k, w, k, c, n)
				})
				h, wide := make([]uint16, n*k), make([]float32, n*k)
				for i, v := range w {
					h[i] = toBF16(v)
					wide[i] = widen(formBF16, h[i])
				}
				check("bfloat16", wide, func(workers int, c []float32) {
					How{Precision: prec}.MulBF16(workers, false, false, m, n, k, a, k, h, k, c, n)
				})
				for i, v := range w {
					h[i] = toF16(v)
					wide[i] = widen(formF16, h[i])
				}
				check("half precision", wide, func(workers int, c []float32) {
					How{Precision: prec}.MulF16(workers, false, false, m, n, k, a, k, h, k, c, n)
				})
				for q := Q8_0; q <= Q6_K; q++ {
					blocks := make([]byte, n*q.RowBytes(k))
					q.Quantize(blocks, w)
					q.Dequantize(wide, blocks)
					check(q.String(), wide, func(workers int, c []float32) {
						How{Precision: prec}.MulQuant(workers, false, q, m, n, k, a, k, blocks, c, n)
					})
				}
			}
		}
		t.Logf("largest errors: %v", worst)
	})
}

// Where there are no tiles, every precision is the highest.
func TestPrecisionWithoutTiles(t *testing.T) {
	best := hw.Current()
	defer hw.Set(best)
	r := rand.New(rand.NewPCG(33, 34))
	m, n, k := 65, 130, 257
	a, b := random(r, m*k), random(r, n*k)
	for _, l := range hw.Levels() {
		hw.Set(l)
		var got [3][]float32
		for prec := range got {
			got[prec] = make([]float32, m*n)
			How{Precision: Precision(prec)}.Mul(1, false, false, true, m, n, k, a, k, b, k, got[prec], n)
		}
		if l == hw.AMX {
			for i, v := range got[High] {
				if v != got[Medium][i] {
					return
				}
			}
			t.Error("with tiles High and Medium are the same")
			continue
		}
		sameBits(t, got[High], got[Highest])
		sameBits(t, got[Medium], got[Highest])
	}
}

// BenchmarkPrecision is a product of 512 rows with a weight of 3072×768: what each precision buys.
func BenchmarkPrecision(b *testing.B) {
	const m, n, k = 512, 3072, 768
	r := rand.New(rand.NewPCG(1, 1))
	a, w, c, h := random(r, m*k), random(r, n*k), make([]float32, m*n), make([]uint16, n*k)
	for i, v := range w {
		h[i] = toBF16(v)
	}
	for prec := Highest; prec <= Medium; prec++ {
		for _, f := range []struct {
			name string
			run  func()
		}{
			{"f32", func() { How{Precision: prec}.Mul(1, false, false, true, m, n, k, a, k, w, k, c, n) }},
			{"bf16", func() { How{Precision: prec}.MulBF16(1, false, false, m, n, k, a, k, h, k, c, n) }},
		} {
			b.Run(fmt.Sprintf("type=%s/precision=%v", f.name, prec), func(b *testing.B) {
				for b.Loop() {
					f.run()
				}
				report(b, 2*m*n*k)
			})
		}
	}
}
