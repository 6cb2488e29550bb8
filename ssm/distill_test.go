package ssm_test

import (
	"fmt"
	"math"
	"math/cmplx"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/subquad/subquad/internal/gradcheck"
	"github.com/subquad/subquad/internal/layertest"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/ssm"
	"github.com/subquad/subquad/tensor"
)

// Kernels that are sums of modes are found again, as float32 rounds them too.
func TestFitModesRecovers(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 1))
	sizes := []struct{ order, length int }{{1, 10}, {1, 2000}, {4, 100}, {8, 512}, {16, 1024}, {16, 3000}, {32, 2048}, {8, 20000}}
	if testing.Short() {
		sizes = sizes[:4] // float64 arithmetic, the same at all levels
	}
	for _, d := range sizes {
		for _, rounded := range []bool{false, true} {
			k := make([]float64, d.length)
			for n := range d.order {
				z := cmplx.Rect(math.Exp(-math.Exp(r.Float64()*4)/float64(d.length)), math.Pi*(float64(n)+0.2+0.6*r.Float64())/float64(d.order))
				c := cmplx.Rect(0.5+r.Float64(), 2*math.Pi*r.Float64())
				for l := range k {
					k[l] += real(c)
					c *= z
				}
			}
			if rounded {
				for l := range k {
					k[l] = float64(float32(k[l]))
				}
			}
			lambda, res, worst, err := ssm.FitModes(k, d.order)
			if err != nil || worst > 1e-5 {
				t.Errorf("%+v rounded %v: error %.2g, %v", d, rounded, worst, err)
			}
			// The error is that of the modes that came back.
			var largest, off float64
			for l, v := range k {
				largest = max(largest, math.Abs(v))
				for n, z := range lambda {
					v -= real(res[n] * cmplx.Pow(z, complex(float64(l), 0)))
				}
				off = max(off, math.Abs(v))
			}
			if e := off / largest; len(lambda) > d.order || math.Abs(e-worst) > 1e-10 {
				t.Errorf("%+v rounded %v: %d modes, error %.2g, reported %.2g", d, rounded, len(lambda), e, worst)
			}
		}
	}
}

// Untrained filters are smooth noise: the more modes, the better.
func TestDistill(t *testing.T) {
	length, orders := 256, []int{2, 4, 8, 16, 32, 64}
	if testing.Short() {
		length, orders = 100, []int{4, 16}
	}
	h, err := ssm.NewHyena(ssm.HyenaConfig{DModel: 4, Length: length, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	last := 1.0
	for _, order := range orders {
		m, worst, err := h.Distill(order)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("order %d: error %.2g of %.2g, tails %.2g", order, worst, m.Errors, m.Tails)
		if worst != slices.Max(m.Errors) || worst >= last {
			t.Errorf("order %d: error %.2g of %.2g, that of half as many modes %.2g", order, worst, m.Errors, last)
		}
		last = worst
		for n := range order * 4 {
			if z := cmplx.Abs(complex(float64(m.Lambda.Data()[n]), float64(m.Lambda.Data()[order*4+n]))); z > 1 {
				t.Errorf("order %d: a mode grows, |λ| = %v", order, z)
			}
		}
		// Within L tokens the layers differ by as much as their filters.
		x := tensor.New(1, length, 4)
		r := rand.New(rand.NewPCG(17, 2))
		for i := range x.Data() {
			x.Data()[i] = float32(r.NormFloat64())
		}
		if e := gradcheck.Difference(m.Forward(x, nil).Float64s(), h.Forward(x, nil).Float64s()); e > 3*worst {
			t.Errorf("order %d: outputs differ by %.2g, filters by %.2g", order, e, worst)
		}
	}
	if last > 1e-3 && !testing.Short() {
		t.Errorf("64 modes leave an error of %.2g", last)
	}
}

func TestModalHyena(t *testing.T) {
	layertest.Run(t, "modal Hyena", func(seed uint64) nn.Layer {
		h, err := ssm.NewHyena(ssm.HyenaConfig{DModel: 6, Length: 24, EmbDim: 5, Order: 7, InnerMLPs: 1, SineFreq: 2, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		m, _, err := h.Distill(4)
		return must(m, err)
	}, 6)
}

func TestBadFits(t *testing.T) {
	h, err := ssm.NewHyena(ssm.HyenaConfig{DModel: 2, Length: 8})
	if err != nil {
		t.Fatal(err)
	}
	fit := func(k []float64, order int) error { _, _, _, err := ssm.FitModes(k, order); return err }
	distill := func(order int) error { _, _, err := h.Distill(order); return err }
	for want, err := range map[string]error{
		"order 0":        fit([]float64{1, 2}, 0),
		"order 1000":     fit([]float64{1, 2}, 1000),
		"1 values":       fit([]float64{1}, 1),
		"value 1 is NaN": fit([]float64{1, math.NaN()}, 1),
		"order -1":       distill(-1),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want one with %q", err, want)
		}
	}
	if lambda, _, worst, err := ssm.FitModes(make([]float64, 9), 3); len(lambda) != 0 || worst != 0 || err != nil {
		t.Errorf("zeros: %v, %v, %v", lambda, worst, err)
	}
	for L := 2; L < 12; L++ { // more modes than values
		k := make([]float64, L)
		for i := range k {
			k[i] = float64(i*i%7) - 2
		}
		if lambda, _, worst, err := ssm.FitModes(k, 8); err != nil || len(lambda) > 8 || !(worst < 1) {
			t.Errorf("%d values: %v, %v, %v", L, lambda, worst, err)
		}
	}
}

// A token of the exact layer, on average and at worst, and of its modes.
func BenchmarkHyenaDecode(b *testing.B) {
	const D = 32
	layer := func(L int) *ssm.Hyena {
		h, err := ssm.NewHyena(ssm.HyenaConfig{DModel: D, Length: L})
		if err != nil {
			b.Fatal(err)
		}
		return h
	}
	run := func(name string, l nn.Layer, block int) {
		b.Run(name, func(b *testing.B) {
			st, x := l.NewState(1), make([]float32, D)
			s := tensor.NewScope(tensor.Workers(1))
			var worst, all time.Duration
			tokens := 0
			l.Forward(s.From(x, 1, 1, D), st) // the filters are made once
			for b.Loop() {
				for range block { // so that each tile falls due
					s.Reset()
					start := time.Now()
					l.Forward(s.From(x, 1, 1, D), st)
					d := time.Since(start)
					worst, all, tokens = max(worst, d), all+d, tokens+1
				}
			}
			b.ReportMetric(float64(all.Nanoseconds())/float64(tokens), "ns/token")
			b.ReportMetric(float64(worst.Nanoseconds()), "worst-ns")
		})
	}
	taps, orders := []int{1024, 8192, 65536}, []int{8, 16, 64}
	if testing.Short() {
		taps, orders = taps[:1], orders[:1]
	}
	for _, L := range taps {
		run(fmt.Sprintf("form=exact/channels=%d/taps=%d", D, L), layer(L), L)
	}
	for _, order := range orders {
		m, _, err := layer(256).Distill(order)
		if err != nil {
			b.Fatal(err)
		}
		run(fmt.Sprintf("form=modes/channels=%d/order=%d", D, order), m, 1024)
	}
}
