package gemm

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/subquad/subquad/hw"
)

// panelsOf are n rows of k numbers as panels.
func panelsOf(q Quant, blocks []byte, n, k int) []byte {
	b := make([]byte, q.PanelBytes(n, k))
	q.Panels(b, blocks, n, k)
	return b
}

// Blocks become panels and blocks again, in place too, and a panel widens to what its blocks do.
func TestPanels(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for q := range Quant(len(quants)) {
		for _, n := range []int{1, 15, 16, 17, 40} {
			k := 3 * quants[q].block
			blocks := randomBlocks(r, q, n*k)
			panels := panelsOf(q, blocks, n, k)
			same := append(make([]byte, 0, len(panels)), blocks...)[:len(panels)]
			q.Panels(same, same[:len(blocks)], n, k)
			if !bytes.Equal(same, panels) {
				t.Fatalf("%v: %d rows in place give other panels", q, n)
			}
			back := make([]byte, len(blocks))
			q.FromPanels(back, panels, n, k)
			if !bytes.Equal(back, blocks) {
				t.Fatalf("%v: %d rows changed on their way to panels and back", q, n)
			}
			want, got := make([]float32, k), make([]float32, k)
			for row := range n {
				first := row % 3 * quants[q].block
				q.Dequantize(want, blocks[row*q.RowBytes(k):])
				q.DequantizePanel(got[first:], panels, row, k, first)
				sameBits(t, got[first:], want[first:])
			}
		}
	}
}

// Products from panels are those of the numbers that the blocks stand for, at every level and
// precision, for any rows of B and any number of workers.
func TestMulPanels(t *testing.T) {
	levels(t, func(t *testing.T) {
		// Measured: 1.4e-7, 2.5e-5 and 7.7e-3 from digits; as float32, which is all there is elsewhere, 2.8e-7.
		bounds := map[Precision]float64{Highest: 3e-7, High: 3e-7, Medium: 3e-7}
		if usePanels {
			bounds[High], bounds[Medium] = 4e-5, 1e-2
		}
		r := rand.New(rand.NewPCG(7, 8))
		worst := map[Precision]float64{}
		for q := range Quant(len(quants)) {
			block, _ := q.Block()
			nothing := []float32{1, 2, 3, 4, 5, 6}
			How{}.MulPanels(2, false, q, 2, 3, 0, nil, 0, nil, 0, nothing, 3)
			sameBits(t, nothing, make([]float32, 6))
			for _, s := range [][4]int{{1, 1, 1, 0}, {1, 16, 3, 0}, {1, 37, 2, 16}, {1, 70, 5, 3}, {2, 5, 1, 0}, {3, 64, 4, 32}, {4, 3, 3, 1}, {5, 130, 2, 16}, {16, 33, 3, 0}, {17, 35, 3, 0}, {70, 70, 2, 0}, {130, 40, 1, 0}} {
				m, n, k, row := s[0], s[1], s[2]*block, s[3]
				a, blocks := make([]float32, m*k), randomBlocks(r, q, (row+n)*k)
				for i := range a {
					a[i] = float32(r.NormFloat64())
				}
				clear(a[:min(len(a), 40)])
				b := panelsOf(q, blocks, row+n, k)
				w := make([]float32, n*k)
				q.Dequantize(w, blocks[row*q.RowBytes(k):])
				want, size := truth(m, n, k, a, w)
				for prec, bound := range bounds {
					h := How{Precision: prec}
					c, again := make([]float32, m*n), make([]float32, m*n)
					h.MulPanels(1, false, q, m, n, k, a, k, b, row, c, n)
					h.MulPanels(3, false, q, m, n, k, a, k, b, row, again, n)
					sameBits(t, again, c)
					for i := range c {
						e := math.Abs(float64(c[i])-want[i]) / max(size[i], math.SmallestNonzeroFloat64)
						worst[prec] = max(worst[prec], e)
						if !(e <= bound) {
							t.Fatalf("%v %dx%dx%d from row %d, %v: element %d is %v, want %v", q, m, n, k, row, prec, i, c[i], want[i])
						}
					}
					// A row is the same alone as among others, and is added to what is there.
					one := make([]float32, n)
					if m <= thinM && row%panelRows == 0 && usePanels {
						h.MulPanels(1, false, q, 1, n, k, a[(m-1)*k:], k, b, row, one, n)
						sameBits(t, one, c[(m-1)*n:])
					}
					h.MulPanels(2, true, q, m, n, k, a, k, b, row, again, n)
					for i := range again {
						if e := math.Abs(float64(again[i]) - 2*float64(c[i])); !(e <= 2*bound*size[i]) {
							t.Fatalf("%v: added up, element %d is %v, want twice %v", q, i, again[i], c[i])
						}
					}
				}
			}
		}
		t.Logf("largest errors: %v", worst)
	})
}

// What has no digits is multiplied as it is.
func TestPanelsSpecialValues(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(9, 9))
		for q := range Quant(len(quants)) {
			const n = 33
			k := 2 * quants[q].block
			blocks := randomBlocks(r, q, n*k)
			b := panelsOf(q, blocks, n, k)
			w := make([]float32, n*k)
			q.Dequantize(w, blocks)
			for _, v := range []float32{float32(math.Inf(1)), float32(math.NaN()), 1e-38, 1e30, 1e-30} {
				for _, m := range []int{1, 3, 40} {
					a := make([]float32, m*k)
					a[(m-1)*k+5] = v
					a[(m-1)*k+quants[q].block+1] = 1
					c := make([]float32, m*n)
					How{}.MulPanels(1, false, q, m, n, k, a, k, b, 0, c, n)
					for i := range c {
						want := 0.0
						for l, x := range a[i/n*k:][:k] {
							if i/n == m-1 { // the other rows are zeros
								want += float64(x) * float64(w[i%n*k+l])
							}
						}
						g := float64(c[i])
						if math.IsNaN(g) != math.IsNaN(want) || math.IsInf(want, 0) && g != want || math.Abs(g-want) > 1e-5*math.Abs(want) {
							t.Fatalf("%v with %v, %d rows: element %d is %v, want %v", q, v, m, i, g, want)
						}
					}
				}
			}
		}
	})
}

func BenchmarkPanels(b *testing.B) {
	const n, k = 3072, 1536
	r := rand.New(rand.NewPCG(1, 2))
	for q := range Quant(len(quants)) {
		w := panelsOf(q, randomBlocks(r, q, n*k), n, k)
		for _, m := range []int{1, 4, 512} {
			a, c := make([]float32, m*k), make([]float32, m*n)
			for i := range a {
				a[i] = float32(r.NormFloat64())
			}
			best := hw.Current()
			for _, l := range hw.Levels() {
				hw.Set(l)
				for prec := Highest; usePanels && prec <= Medium; prec++ {
					b.Run(fmt.Sprintf("type=%v/m=%d/precision=%v/hw=%v", q, m, prec, l), func(b *testing.B) {
						limit := ReadBandwidth(len(w))
						for b.Loop() {
							How{Precision: prec}.MulPanels(1, false, q, m, n, k, a, k, w, 0, c, n)
						}
						rate := float64(b.N) / b.Elapsed().Seconds()
						b.ReportMetric(rate*float64(len(w))/1e9, "GB/s")
						b.ReportMetric(rate*float64(len(w))/limit, "peak-frac")
						b.ReportMetric(rate*2*float64(m*n*k)/1e9, "GFLOP/s")
					})
				}
			}
			hw.Set(best)
		}
	}
}
