package fft

import (
	"fmt"
	"math"
	"math/cmplx"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/hwtest"
)

var levels = hwtest.Levels

func noise(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

// dft64 is the definition for one channel; long powers of two use the plain recursion.
func dft64(re, im []float32, channels, c int) []complex128 {
	n := len(re) / channels
	x := make([]complex128, n)
	for i := range x {
		x[i] = complex(float64(re[i*channels+c]), float64(im[i*channels+c]))
	}
	if n&(n-1) == 0 {
		fft64(x)
		return x
	}
	w := make([]complex128, n)
	for i := range w {
		w[i] = cmplx.Exp(complex(0, -2*math.Pi*float64(i)/float64(n)))
	}
	y := make([]complex128, n)
	for k := range y {
		for j, v := range x {
			y[k] += v * w[j*k%n]
		}
	}
	return y
}

// scaled is the largest difference over the largest value.
func scaled(got []float32, want []float64) float64 {
	var worst, scale float64
	for i, w := range want {
		d := math.Abs(float64(got[i]) - w)
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		worst, scale = max(worst, d), max(scale, math.Abs(w))
	}
	if worst == 0 {
		return 0
	}
	return worst / scale
}

// column is channel c of both planes, one after the other.
func column(re, im []float32, channels, c, rows int) (v []float32) {
	for i := range rows {
		v = append(v, re[i*channels+c])
	}
	for i := range rows {
		v = append(v, im[i*channels+c])
	}
	return v
}

func parts(z []complex128) (v []float64) {
	for _, x := range z {
		v = append(v, real(x))
	}
	for _, x := range z {
		v = append(v, imag(x))
	}
	return v
}

func testLengths() (n []int) {
	if testing.Short() {
		return []int{1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 32, 37, 63, 64, 100, 243, 256, 509, 1024, 2048}
	}
	for i := 1; i <= 70; i++ {
		n = append(n, i)
	}
	return append(n, 97, 100, 127, 128, 243, 256, 360, 509, 512, 625, 1000, 1009, 1024, 2039, 2048, 4096, 8192)
}

// tolerance bounds the error scaled by the largest output. The worst measured
// over testLengths is 2.4e-7, at lengths that go through Bluestein.
const tolerance = 3e-7

func TestPlan(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 1))
		worst, at := 0.0, 0
		for _, n := range testLengths() {
			p, err := NewPlan(n)
			if err != nil {
				t.Fatal(err)
			}
			rp, err := NewRealPlan(n)
			if err != nil {
				t.Fatal(err)
			}
			if p.Len() != n || rp.Len() != n || rp.Bins() != n/2+1 {
				t.Errorf("plans of %d points have %d, %d and %d frequencies", n, p.Len(), rp.Len(), rp.Bins())
			}
			channels := []int{1, 3, 16, 21, 70}[r.IntN(5)]
			if n > 1024 {
				channels = 2
			}
			re, im := noise(r, n*channels), noise(r, n*channels)
			fr, fi := slices.Clone(re), slices.Clone(im)
			p.Forward(fr, fi, channels)
			note := func(what string, e float64) {
				if e > worst {
					worst, at = e, n
				}
				if !(e < tolerance) {
					t.Errorf("n %d, %d channels: %s error %.3g", n, channels, what, e)
				}
			}
			xr := make([]float32, rp.Bins()*channels)
			xi := slices.Clone(xr)
			rp.Forward(xr, xi, re, channels)
			zero := make([]float32, n*channels)
			for _, c := range []int{0, channels / 2, channels - 1} {
				note("forward", scaled(column(fr, fi, channels, c, n), parts(dft64(re, im, channels, c))))
				note("real forward", scaled(column(xr, xi, channels, c, rp.Bins()), parts(dft64(re, zero, channels, c)[:rp.Bins()])))
			}
			p.Inverse(fr, fi, channels)
			back := make([]float32, n*channels)
			rp.Inverse(back, xr, xi, channels)
			for _, c := range []int{0, channels - 1} {
				var z []float64
				for _, v := range column(re, im, channels, c, n) {
					z = append(z, float64(v))
				}
				if e := scaled(column(fr, fi, channels, c, n), z); !(e < 2*tolerance) {
					t.Errorf("n %d, %d channels: round trip error %.3g", n, channels, e)
				}
				if e := scaled(column(back, back, channels, c, n)[:n], z[:n]); !(e < 2*tolerance) {
					t.Errorf("n %d, %d channels: real round trip error %.3g", n, channels, e)
				}
			}
		}
		t.Logf("worst %.3g at n=%d", worst, at)
	})
}

func TestLongPlans(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for _, n := range []int{16384, 32768, 65536, 131072} {
		re, im := noise(r, n), noise(r, n)
		want := parts(dft64(re, im, 1, 0))
		p, _ := NewPlan(n)
		p.Forward(re, im, 1)
		if e := scaled(slices.Concat(re, im), want); e > tolerance {
			t.Errorf("n %d: error %.3g", n, e)
		}
	}
	// A prime where the plain definition takes too long: single frequencies.
	n := 65521
	p, _ := NewPlan(n)
	re, im := noise(r, n), noise(r, n)
	fr, fi := slices.Clone(re), slices.Clone(im)
	p.Forward(fr, fi, 1)
	for _, k := range []int{0, 1, 2, 777, n / 2, n - 1} {
		var s complex128
		for j := range n {
			s += complex(float64(re[j]), float64(im[j])) * cmplx.Exp(complex(0, -2*math.Pi*float64(int64(j)*int64(k)%int64(n))/float64(n)))
		}
		if d := cmplx.Abs(s - complex(float64(fr[k]), float64(fi[k]))); d > tolerance*3*math.Sqrt(float64(2*n)) {
			t.Errorf("n %d, frequency %d: error %.3g", n, k, d)
		}
	}
}

// A channel's result does not depend on its neighbours, on how many there are, or on the workers.
func TestChannelsAlone(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 3))
		for _, n := range []int{8, 60, 61, 512, 4096} {
			channels := 150
			p, _ := NewPlan(n)
			re, im := noise(r, n*channels), noise(r, n*channels)
			fr, fi := slices.Clone(re), slices.Clone(im)
			p.Forward(fr, fi, channels)
			for _, c := range []int{0, 17, 64, 149} {
				v := column(re, im, channels, c, n)
				p.Forward(v[:n], v[n:], 1)
				if !slices.Equal(v, column(fr, fi, channels, c, n)) {
					t.Errorf("n %d: channel %d alone differs", n, c)
				}
			}
		}
	})
}

func TestLinear(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for _, n := range []int{7, 64, 90, 101} {
		p, _ := NewPlan(n)
		a, b := noise(r, 4*n), noise(r, 4*n)
		sum := make([]float32, 4*n)
		for i := range sum {
			sum[i] = 2*a[i] - 3*b[i]
		}
		za, zb, zs := make([]float32, 4*n), make([]float32, 4*n), make([]float32, 4*n)
		p.Forward(a, za, 4)
		p.Forward(b, zb, 4)
		p.Forward(sum, zs, 4)
		want := make([]float64, 4*n)
		for i := range want {
			want[i] = 2*float64(a[i]) - 3*float64(b[i])
		}
		if e := scaled(sum, want); e > 1e-6 {
			t.Errorf("n %d: %.3g", n, e)
		}
	}
}

func TestBadLengths(t *testing.T) {
	for _, n := range []int{0, -1, MaxLen + 1} {
		if _, err := NewPlan(n); err == nil {
			t.Errorf("NewPlan(%d): no error", n)
		}
		if _, err := NewRealPlan(n); err == nil {
			t.Errorf("NewRealPlan(%d): no error", n)
		}
	}
	p, _ := NewPlan(8)
	p.Forward(nil, nil, 0)
	defer func() {
		if fmt.Sprint(recover()) != "fft: Plan.Forward: im has 15 values, want 8 of 2 channels" {
			t.Error("no panic, or another, for a short slice")
		}
	}()
	p.Forward(make([]float32, 16), make([]float32, 15), 2)
}

func BenchmarkPlan(b *testing.B) {
	best := hw.Current()
	defer hw.Set(best)
	for _, l := range hw.Levels() {
		for _, n := range []int{1 << 10, 1 << 12, 1 << 14, 1 << 16} {
			b.Run(fmt.Sprintf("hw=%v/n=%d/channels=64", l, n), func(b *testing.B) {
				hw.Set(l)
				p, _ := NewPlan(n)
				re, im := make([]float32, 64*n), make([]float32, 64*n)
				re[0] = 1
				for b.Loop() {
					p.Forward(re, im, 64)
				}
				ns := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
				b.ReportMetric(64*5*float64(n)*math.Log2(float64(n))/ns, "GF/s")
				b.ReportMetric(ns/64, "ns/transform")
			})
		}
	}
}

func BenchmarkRealPlan(b *testing.B) {
	for _, n := range []int{1 << 10, 1 << 12, 1 << 14, 1000, 1009} {
		b.Run(fmt.Sprintf("n=%d/channels=64", n), func(b *testing.B) {
			p, _ := NewRealPlan(n)
			x, re, im := make([]float32, 64*n), make([]float32, 64*p.Bins()), make([]float32, 64*p.Bins())
			for b.Loop() {
				p.Forward(re, im, x, 64)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/64, "ns/transform")
		})
	}
}
