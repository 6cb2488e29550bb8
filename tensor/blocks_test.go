package tensor_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/subquad/subquad/tensor"
)

// A weight in blocks acts as the float32 weight that it widens to: products, rows, views, gradients.
func TestBlocks(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const n, k, m = 13, 512, 3
	random := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		return x
	}
	w, x := tensor.From(random(n*k), n, k), random(m*k)
	for _, d := range []tensor.DType{tensor.BF16, tensor.F16, tensor.Q8_0, tensor.Q4_0, tensor.Q4_K, tensor.Q6_K} {
		narrow := tensor.As(d, w)
		wide := tensor.As(tensor.F32, narrow)
		if narrow.DType() != d || wide.Len() != w.Len() || narrow.At(5, 77) != wide.At(5, 77) {
			t.Fatalf("%v: element (5, 77) is %v, widened %v", d, narrow.At(5, 77), wide.At(5, 77))
		}
		run := func(w *tensor.Tensor) (y, part, rows, dx []float32) {
			s := tensor.NewScope(tensor.Record())
			in := tensor.From(x, m, k).Track()
			out := tensor.MatMulT(tensor.Enter(s, in), w)
			half := tensor.MatMulT(tensor.Enter(s, in), w.Narrow(0, 4, 11))
			s.Backward(tensor.SumAll(tensor.Square(out)))
			return out.Float32s(), half.Float32s(), tensor.GatherIn(s, w, []int{3, 0, 12}, 3).Float32s(), in.Grad().Float32s()
		}
		a, ah, ar, ag := run(narrow)
		b, bh, br, bg := run(wide)
		for _, p := range []struct {
			what      string
			got, want []float32
			tolerance float64
		}{{"product", a, b, 1e-6}, {"product of a part", ah, bh, 1e-6}, {"rows", ar, br, 0}, {"gradient", ag, bg, 1e-6}} {
			largest := 0.0
			for _, v := range p.want {
				largest = max(largest, math.Abs(float64(v)))
			}
			for i := range p.want {
				if e := math.Abs(float64(p.got[i] - p.want[i])); !(e <= p.tolerance*largest) {
					t.Fatalf("%v, %s: element %d is %v, want %v", d, p.what, i, p.got[i], p.want[i])
				}
			}
		}
		f := tensor.NewScope(tensor.Float64())
		plain := tensor.MatMulT(f.From(x, m, k), narrow)
		for i, v := range plain.Float32s() {
			if math.Abs(float64(v-b[i])) > 1e-3 {
				t.Fatalf("%v, plain form: element %d is %v, want %v", d, i, v, b[i])
			}
		}
	}
}

func TestBlocksMisuse(t *testing.T) {
	for name, f := range map[string]func(){
		"columns":       func() { tensor.As(tensor.Q4_K, tensor.New(2, 96)) },
		"three axes":    func() { tensor.As(tensor.Q8_0, tensor.New(2, 2, 32)) },
		"float64":       func() { tensor.As(tensor.F64, tensor.New(2, 32)) },
		"short":         func() { tensor.FromBlocks(tensor.Q8_0, make([]byte, 33), 1, 32) },
		"not blocks":    func() { tensor.FromBlocks(tensor.BF16, make([]byte, 64), 1, 32) },
		"not MatMulT's": func() { tensor.MatMul(tensor.New(2, 32), tensor.As(tensor.Q8_0, tensor.New(32, 32))) },
	} {
		func() {
			defer func() {
				if _, ok := recover().(*tensor.ShapeError); !ok {
					t.Errorf("%s: no *tensor.ShapeError", name)
				}
			}()
			f()
		}()
	}
}
