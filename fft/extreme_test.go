package fft

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/subquad/subquad/tensor"
)

// A million inputs and a million taps: some outputs against their sums.
func TestMillionTaps(t *testing.T) {
	const T = 1_000_000
	r := rand.New(rand.NewPCG(12, 1))
	u, k, y := noise(r, T), noise(r, T), make([]float32, T)
	f, err := NewKernel(k, T, 1, T)
	if err != nil {
		t.Fatal(err)
	}
	f.Conv(y, u, nil, 1, T)
	largest := 0.0
	for _, v := range y {
		largest = max(largest, math.Abs(float64(v)))
	}
	for _, at := range []int{0, 1, 777, 65535, 500_000, T - 1} {
		sum := 0.0
		for s := range at + 1 {
			sum += float64(k[s]) * float64(u[at-s])
		}
		if e := math.Abs(float64(y[at])-sum) / largest; !(e <= convTolerance) {
			t.Errorf("output %d: error %.2g of the largest", at, e)
		}
	}
}

// A million inputs one by one, through a filter of 50 taps, end as those of the last 100 do.
func TestMillionTokensOnline(t *testing.T) {
	const T, taps, last = 1_000_000, 50, 100
	r := rand.New(rand.NewPCG(12, 2))
	k := noise(r, taps)
	o, err := NewOnline(k, taps, 1)
	if err != nil {
		t.Fatal(err)
	}
	st, s := o.NewState(1), tensor.NewScope(tensor.Workers(1))
	u := noise(r, T)
	o.Forward(s.From(u[:T-last], 1, T-last, 1), st)
	for i := range last {
		s.Reset()
		y := o.Forward(s.From(u[T-last+i:][:1], 1, 1, 1), st).At(0, 0, 0)
		sum := 0.0
		for j := range taps {
			sum += float64(k[j]) * float64(u[T-last+i-j])
		}
		if d := math.Abs(y - sum); !(d <= 1e-5) {
			t.Fatalf("token %d is %v, want %v", T-last+i, y, sum)
		}
	}
}

// What transforms cannot do, as the package's page says: errors are relative to
// the largest output, and what is not a number spreads over its block. A plain
// sum over few taps has none of it.
func TestEdges(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(12, 3))
		const T = 4096
		run := func(taps int, k, u []float32) []float32 {
			f, err := NewKernel(k[:taps], taps, 1, T)
			if err != nil {
				t.Fatal(err)
			}
			y := make([]float32, T)
			f.Conv(y, u, nil, 1, T)
			return y
		}
		scaledBy := func(x []float32, c float32) []float32 {
			y := make([]float32, len(x))
			for i, v := range x {
				y[i] = c * v
			}
			return y
		}
		// After a spike of a million a filter that forgets: outputs of size one.
		u, k := noise(r, T), make([]float32, T)
		u[0] = 1e6
		want := make([]float64, T)
		for i := range k {
			k[i] = float32(math.Exp(-float64(i) / 20))
			for s := range i + 1 {
				want[i] += float64(k[s]) * float64(u[i-s])
			}
		}
		y := run(T, k, u)
		worst := 0.0
		for i := range T {
			worst = max(worst, math.Abs(float64(y[i])-want[i]))
		}
		if !(worst <= convTolerance*1e6) {
			t.Errorf("after a spike: off by %.2g of the spike", worst/1e6)
		}
		near(t, "the spike's last trace, few taps", run(4, k, u)[2000:], sums(k[:4], u)[2000:], convTolerance)

		// Numbers as large as outputs may be: the filter's transform is divided by n.
		a, b := noise(r, T), noise(r, T)
		plain := run(T, a, b)
		for i, v := range run(T, scaledBy(a, 1e18), scaledBy(b, 1e18)) {
			if e := math.Abs(float64(v)/1e36 - float64(plain[i])); !(e <= 1e-3) {
				t.Fatalf("inputs of 1e18: output %d is %v, want %v e36", i, v, plain[i])
			}
		}

		// Not a number at T/2.
		b[T/2] = float32(math.NaN())
		if y := run(T, a, b); !math.IsNaN(float64(y[0])) {
			t.Error("what is not a number does not spread to outputs before it: the package's page says otherwise")
		}
		for i, v := range run(4, a, b) {
			if nan := math.IsNaN(float64(v)); nan != (i >= T/2 && i < T/2+4) {
				t.Fatalf("few taps: output %d is %v", i, v)
			}
		}
	})
}

// sums is the convolution as it is defined.
func sums(k, u []float32) []float64 {
	y := make([]float64, len(u))
	for t := range u {
		for s := range min(len(k), t+1) {
			y[t] += float64(k[s]) * float64(u[t-s])
		}
	}
	return y
}

// Zeros, ±60, and lengths of none and one.
func TestSmallestAndSaturated(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(12, 4))
		for _, size := range []float32{0, 60} {
			for _, d := range [][2]int{{1, 1}, {1, 500}, {500, 1}, {700, 700}} {
				T, L := d[0], d[1]
				u, k := noise(r, T), noise(r, L)
				for _, x := range [][]float32{u, k} {
					for i, v := range x {
						x[i] = size * float32(math.Copysign(1, float64(v)))
					}
				}
				f, err := NewKernel(k, L, 1, T)
				if err != nil {
					t.Fatal(err)
				}
				y := make([]float32, T)
				f.Conv(y, u, nil, 1, T)
				near(t, "saturated", y, sums(k, u), convTolerance)
				f.Conv(nil, nil, nil, 1, 0)
			}
		}
	})
}
