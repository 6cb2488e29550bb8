package tensor

import (
	"fmt"
	"math"
	"slices"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/vec"
)

// RMSNorm is x/√(mean x² + eps) over the last axis, times weight [channels] if it is not nil.
func RMSNorm(x, weight *Tensor, eps float32) *Tensor {
	return normalize("RMSNorm", x, 1, weight, nil, eps, false)
}

// LayerNorm is (x − mean)/√(variance + eps) over the last axis, times weight plus bias, either of which may be nil.
func LayerNorm(x, weight, bias *Tensor, eps float32) *Tensor {
	return normalize("LayerNorm", x, 1, weight, bias, eps, true)
}

// GroupNorm is LayerNorm over each of groups equal parts of the last axis, with weight and bias over all of it.
func GroupNorm(x *Tensor, groups int, weight, bias *Tensor, eps float32) *Tensor {
	return normalize("GroupNorm", x, groups, weight, bias, eps, true)
}

// GroupRMSNorm is RMSNorm over each of groups equal parts of the last axis.
func GroupRMSNorm(x *Tensor, groups int, weight *Tensor, eps float32) *Tensor {
	return normalize("GroupRMSNorm", x, groups, weight, nil, eps, false)
}

// L2Norm is x/max(‖x‖, eps) over the last axis, as torch's normalize.
func L2Norm(x *Tensor, eps float32) *Tensor { return l2norm("L2Norm", x, eps, false) }

// L2NormRsqrt is x/√(‖x‖² + eps) over the last axis, as flash-linear-attention's l2norm.
func L2NormRsqrt(x *Tensor, eps float32) *Tensor { return l2norm("L2NormRsqrt", x, eps, true) }

// norm is one call of normalize: channels in groups, with or without centring.
type norm struct {
	channels, groups int
	eps              float32
	center           bool
}

func normalize(op string, x *Tensor, groups int, weight, bias *Tensor, eps float32, center bool) *Tensor {
	if x.rank == 0 || groups < 1 || x.Dim(-1)%groups != 0 {
		panic(&ShapeError{Op: op, Arg: "x", Got: slices.Clone(x.Shape()), Want: fmt.Sprintf("a last axis that %d groups divide", groups)})
	}
	m := norm{x.Dim(-1), groups, eps, center}
	for _, w := range []*Tensor{weight, bias} {
		if w != nil {
			Check(op, "weight", w, m.channels)
		}
	}
	y := Out(op, x.Shape(), x, weight, bias)
	if y.Len() == 0 {
		return y
	}
	if y.IsFloat64() {
		m.plain(y.f64, x.Values64(), weight, bias)
		return y
	}
	x = Compact(x)
	src, n, _, stride, _ := x.Rows()
	w, b := flat(weight), flat(bias)
	// What the gradient needs of each group: its mean and 1/deviation.
	var stats []float32
	if y.Recording() {
		stats = y.scope.Floats(2 * n * groups)
	}
	workers := y.scope.Workers()
	if tasks := hw.Tasks(workers, n, 0.4*float64(m.channels)); tasks > 1 {
		m.parallel(workers, tasks, n, y.data, src, stride, w, b, stats)
	} else {
		m.rows(0, n, y.data, src, stride, w, b, stats)
	}
	if y.Recording() {
		in := x
		OnBackward(func() { m.backward(n, y, in, weight, bias, stats) }, y)
	}
	return y
}

// flat is the memory of a vector, nil for nil.
func flat(t *Tensor) []float32 {
	if t == nil {
		return nil
	}
	return t.data[:t.Len()]
}

func (m norm) parallel(workers, tasks, n int, y, x []float32, stride int, w, b, stats []float32) {
	hw.Parallel(workers, tasks, func(i int) {
		lo, hi := hw.Range(i, tasks, n)
		m.rows(lo, hi, y, x, stride, w, b, stats)
	})
}

func (m norm) rows(lo, hi int, y, x []float32, stride int, w, b, stats []float32) {
	size := m.channels / m.groups
	for r := lo; r < hi; r++ {
		out := y[r*m.channels:][:m.channels]
		for g := range m.groups {
			in, o := x[r*stride+g*size:][:size], out[g*size:][:size]
			mean := float32(0)
			if m.center { // two passes: the variance is of the differences
				mean = vec.Sum(in) / float32(size)
				vec.Offset(o, in, -mean)
				in = o
			}
			inv := float32(1 / math.Sqrt(float64(vec.SumSq(in))/float64(size)+float64(m.eps)))
			vec.Scale(o, in, inv)
			if stats != nil {
				i := 2 * (r*m.groups + g)
				stats[i], stats[i+1] = mean, inv
			}
		}
		if w != nil {
			vec.Mul(out, out, w)
		}
		if b != nil {
			vec.Add(out, out, b)
		}
	}
}

// backward: with x̂ the normalised values and g = dy⊙w,
// dx = (g − mean g − x̂ mean(g⊙x̂))/deviation, the first mean only if centred.
func (m norm) backward(n int, y, x, weight, bias *Tensor, stats []float32) {
	dy := y.Grad().Data()
	size := m.channels / m.groups
	src, _, _, stride, _ := x.Rows()
	var dx, dw, db []float32
	if x.NeedsGrad() {
		dx = x.Grad().data
	}
	if weight.NeedsGrad() {
		dw = weight.Grad().data
	}
	if bias.NeedsGrad() {
		db = bias.Grad().data
	}
	w := flat(weight)
	hat, g := make([]float32, size), make([]float32, size)
	for r := range n {
		for k := range m.groups {
			lo := k * size
			mean, inv := stats[2*(r*m.groups+k)], stats[2*(r*m.groups+k)+1]
			vec.Offset(hat, src[r*stride+lo:], -mean)
			vec.Scale(hat, hat, inv)
			d := dy[r*m.channels+lo:][:size]
			if dw != nil {
				vec.MulAdd(dw[lo:lo+size], d, hat)
			}
			if db != nil {
				vec.Add(db[lo:lo+size], db[lo:], d)
			}
			if dx == nil {
				continue
			}
			if w != nil {
				vec.Mul(g, d, w[lo:])
			} else {
				copy(g, d)
			}
			a := float32(0)
			if m.center {
				a = vec.Sum(g) / float32(size)
			}
			c := vec.Dot(g, hat) / float32(size)
			out := dx[r*stride+lo:][:size]
			vec.Axpy(out, inv, g)
			vec.Axpy(out, -inv*c, hat)
			if a != 0 {
				vec.Offset(out, out, -inv*a)
			}
		}
	}
}

func (m norm) plain(y, x []float64, weight, bias *Tensor) {
	size := m.channels / m.groups
	for lo := 0; lo < len(x); lo += size {
		in := x[lo : lo+size]
		mean, sq := 0.0, 0.0
		if m.center {
			for _, v := range in {
				mean += v / float64(size)
			}
		}
		for _, v := range in {
			sq += (v - mean) * (v - mean) / float64(size)
		}
		for i, v := range in {
			y[lo+i] = (v - mean) / math.Sqrt(sq+float64(m.eps))
		}
	}
	for i := range y {
		c := i % m.channels
		if weight != nil {
			y[i] *= weight.elem(c)
		}
		if bias != nil {
			y[i] += bias.elem(c)
		}
	}
}

func l2norm(op string, x *Tensor, eps float32, rsqrt bool) *Tensor {
	if x.rank == 0 {
		panic(&ShapeError{Op: op, Arg: "x", Want: "at least one axis"})
	}
	y := Out(op, x.Shape(), x)
	n := x.rowLen()
	if y.Len() == 0 {
		return y
	}
	if y.IsFloat64() {
		v := x.Values64()
		for i := 0; i < len(v); i += n {
			sq := 0.0
			for _, a := range v[i : i+n] {
				sq += a * a
			}
			for j := range n {
				y.f64[i+j] = v[i+j] / length(sq, eps, rsqrt)
			}
		}
		return y
	}
	i := 0
	x.eachRow(func(o int) {
		row := x.data[o : o+n]
		vec.Scale(y.data[i:i+n], row, float32(1/length(float64(vec.SumSq(row)), eps, rsqrt)))
		i += n
	})
	if y.Recording() {
		OnBackward(func() { // dx = (dy − y Σ dy⊙y)/length, but dy/eps where the length is cut off
			dx, dy := x.Grad(), y.Grad().Data()
			i := 0
			dx.eachRow(func(o int) {
				row, g, d, yr := x.data[o:o+n], dx.data[o:o+n], dy[i:i+n], y.data[i:i+n]
				sq := float64(vec.SumSq(row))
				inv := float32(1 / length(sq, eps, rsqrt))
				vec.Axpy(g, inv, d)
				if rsqrt || math.Sqrt(sq) > float64(eps) {
					vec.Axpy(g, -inv*vec.Dot(d, yr), yr)
				}
				i += n
			})
		}, y)
	}
	return y
}

// length is the divisor of L2Norm or L2NormRsqrt for a row with this sum of squares.
func length(sq float64, eps float32, rsqrt bool) float64 {
	if rsqrt {
		return math.Sqrt(sq + float64(eps))
	}
	return max(math.Sqrt(sq), float64(eps))
}
