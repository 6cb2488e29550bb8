package linattn

import (
	"math"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/vec"
	"github.com/subquad/subquad/tensor"
)

// TaylorDim is the number of features that Taylor makes of d channels.
func TaylorDim(d int, triangular bool) int {
	if triangular {
		return 1 + d + d*(d+1)/2
	}
	return 1 + d + d*d
}

// Taylor is Based's feature map, the second-order Taylor expansion of exp:
//
//	φ(x) = [1, x/d^¼, vec(x xᵀ)/(√2 √d)],   φ(q)·φ(k) = 1 + s + s²/2 with s = q·k/√d
//
// over the last axis of x, of length d. The triangular form keeps each product
// x_i x_j, i ≤ j, once, those with i < j times √2: the same inner products from
// about half the features. (HazyResearch/based:
// based/models/mixers/linear_attention.py#TaylorExp; arXiv 2402.18668)
func Taylor(x *tensor.Tensor, triangular bool) *tensor.Tensor {
	const op = "linattn.Taylor"
	if x.Rank() == 0 || x.Dim(-1) == 0 {
		panic(&tensor.ShapeError{Op: op, Arg: "x", Got: x.Shape(), Want: "a last axis of at least one channel"})
	}
	d := x.Dim(-1)
	f := TaylorDim(d, triangular)
	var shape [tensor.MaxRank]int
	copy(shape[:], x.Shape())
	shape[x.Rank()-1] = f
	y := tensor.Out(op, shape[:x.Rank()], x)
	c1, c2 := math.Pow(float64(d), -0.25), 1/math.Sqrt(2*float64(d))
	if y.IsFloat64() {
		in, out := x.Values64(), make([]float64, y.Len())
		for r := 0; r*d < len(in); r++ {
			row, o := in[r*d:(r+1)*d], out[r*f:(r+1)*f]
			o[0] = 1
			n := 1 + d
			for i, a := range row {
				o[1+i] = a * c1
				for j, b := range row {
					switch {
					case !triangular:
						o[n] = a * b * c2
						n++
					case i == j:
						o[n] = a * a * c2
						n++
					case i < j:
						o[n] = a * b * c2 * math.Sqrt2
						n++
					}
				}
			}
		}
		y.SetValues64(out)
		return y
	}
	x = tensor.Compact(x)
	src, n, _, stride, _ := x.Rows()
	m := taylorMap{d: d, f: f, triangular: triangular, c1: float32(c1), c2: float32(c2), c3: float32(c2 * math.Sqrt2)}
	workers := y.Scope().Workers()
	if tasks := hw.Tasks(workers, n, float64(f)/4); tasks > 1 {
		m.parallel(workers, tasks, n, y.Data(), src, stride)
	} else {
		m.rows(y.Data(), src, stride, 0, n)
	}
	if y.Recording() {
		xs := x
		tensor.OnBackward(func() {
			if !xs.NeedsGrad() {
				return
			}
			dy := y.Grad().Data()
			dx, _, _, dstride, _ := xs.Grad().Rows()
			tasks := hw.Tasks(workers, n, float64(f))
			hw.Parallel(workers, tasks, func(i int) {
				lo, hi := hw.Range(i, tasks, n)
				for r := lo; r < hi; r++ {
					m.backward(dx[r*dstride:][:d], dy[r*f:(r+1)*f], src[r*stride:][:d])
				}
			})
		}, y)
	}
	return y
}

type taylorMap struct {
	d, f       int
	triangular bool
	c1, c2, c3 float32 // of first-order, square (or all second-order) and mixed terms
}

func (m taylorMap) parallel(workers, tasks, n int, dst, src []float32, stride int) {
	hw.Parallel(workers, tasks, func(i int) {
		lo, hi := hw.Range(i, tasks, n)
		m.rows(dst, src, stride, lo, hi)
	})
}

func (m taylorMap) rows(dst, src []float32, stride, lo, hi int) {
	d := m.d
	for r := lo; r < hi; r++ {
		x, y := src[r*stride:][:d], dst[r*m.f:(r+1)*m.f]
		y[0] = 1
		vec.Scale(y[1:1+d], x, m.c1)
		y = y[1+d:]
		for i, a := range x {
			if m.triangular {
				y[0] = a * a * m.c2
				vec.Scale(y[1:d-i], x[i+1:], a*m.c3)
				y = y[d-i:]
			} else {
				vec.Scale(y[:d], x, a*m.c2)
				y = y[d:]
			}
		}
	}
}

func (m taylorMap) backward(dx, dy, x []float32) {
	d := m.d
	vec.Axpy(dx, m.c1, dy[1:1+d])
	dy = dy[1+d:]
	for i, a := range x {
		if m.triangular {
			dx[i] += 2 * a * m.c2 * dy[0]
			dx[i] += m.c3 * vec.Dot(dy[1:d-i], x[i+1:])
			vec.Axpy(dx[i+1:], a*m.c3, dy[1:d-i])
			dy = dy[d-i:]
		} else {
			dx[i] += m.c2 * vec.Dot(dy[:d], x)
			vec.Axpy(dx, a*m.c2, dy[:d])
			dy = dy[d:]
		}
	}
}
