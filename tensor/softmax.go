package tensor

import (
	"fmt"
	"math"

	"github.com/subquad/subquad/internal/kernel/vec"
)

// Softmax is e^x over its sum, along the last axis.
func Softmax(x *Tensor) *Tensor {
	y := Out("Softmax", x.Shape(), x)
	n := x.rowLen()
	if y.IsFloat64() {
		v := x.Values64()
		for i := 0; i < len(v); i += n {
			lse := logSumExp(v[i : i+n])
			for j := range n {
				y.f64[i+j] = math.Exp(v[i+j] - lse)
			}
		}
		return y
	}
	i := 0
	x.eachRow(func(o int) {
		row, out := x.data[o:o+n], y.data[i:i+n]
		vec.Scale(out, out, 1/vec.ExpSub(out, row, vec.Max(row)))
		i += n
	})
	if y.Recording() {
		OnBackward(func() { // dx = y ⊙ (dy − Σ dy⊙y)
			dx, dy := x.Grad(), y.Grad().Data()
			i := 0
			dx.eachRow(func(o int) {
				g, yr, d := dx.data[o:o+n], y.data[i:i+n], dy[i:i+n]
				s := vec.Dot(d, yr)
				for j := range g {
					g[j] += yr[j] * (d[j] - s)
				}
				i += n
			})
		}, y)
	}
	return y
}

// LogSoftmax is ln Softmax(x), along the last axis.
func LogSoftmax(x *Tensor) *Tensor {
	y := Out("LogSoftmax", x.Shape(), x)
	n := x.rowLen()
	if y.IsFloat64() {
		v := x.Values64()
		for i := 0; i < len(v); i += n {
			lse := logSumExp(v[i : i+n])
			for j := range n {
				y.f64[i+j] = v[i+j] - lse
			}
		}
		return y
	}
	i := 0
	x.eachRow(func(o int) {
		row, out := x.data[o:o+n], y.data[i:i+n]
		m := vec.Max(row)
		vec.Offset(out, row, -m-float32(math.Log(float64(vec.ExpSub(out, row, m)))))
		i += n
	})
	if y.Recording() {
		OnBackward(func() { // dx = dy − e^y Σ dy
			dx, dy := x.Grad(), y.Grad().Data()
			p := make([]float32, n)
			i := 0
			dx.eachRow(func(o int) {
				vec.Exp(p, y.data[i:i+n])
				g, d := dx.data[o:o+n], dy[i:i+n]
				vec.Add(g, g, d)
				vec.Axpy(g, -vec.Sum(d), p)
				i += n
			})
		}, y)
	}
	return y
}

func logSumExp(x []float64) float64 {
	m := math.Inf(-1)
	for _, v := range x {
		m = max(m, v)
	}
	s := 0.0
	for _, v := range x {
		s += math.Exp(v - m)
	}
	return m + math.Log(s)
}

// IgnoreIndex as a target leaves a position out of CrossEntropy.
const IgnoreIndex = -100

// CrossEntropy is the mean over positions of −ln Softmax(logits)[target], a
// tensor without axes. logits is […, classes]; targets has one class for each
// row, or IgnoreIndex. Without any target it is 0.
func CrossEntropy(logits *Tensor, targets []int) *Tensor {
	const op = "CrossEntropy"
	n := logits.rowLen()
	rows := 0
	if n > 0 {
		rows = logits.Len() / n
	}
	if len(targets) != rows {
		panic(&ShapeError{Op: op, Arg: "targets", Got: []int{len(targets)}, Want: fmt.Sprintf("one for each row of %v", logits.Shape())})
	}
	counted := 0
	for i, c := range targets {
		if c != IgnoreIndex && (c < 0 || c >= n) {
			panic(&ShapeError{Op: op, Arg: fmt.Sprintf("targets[%d]", i), Got: []int{c}, Want: fmt.Sprintf("0 to %d, or IgnoreIndex", n-1)})
		}
		if c != IgnoreIndex {
			counted++
		}
	}
	y := Out(op, nil, logits)
	loss := 0.0
	if y.IsFloat64() {
		v := logits.Values64()
		for i, c := range targets {
			if c != IgnoreIndex {
				loss += (logSumExp(v[i*n:(i+1)*n]) - v[i*n+c]) / float64(counted)
			}
		}
		y.f64[0] = loss
		return y
	}
	logits = Contiguous(logits)
	s := y.scope
	p := s.Floats(len(logits.data[:logits.Len()])) // softmax, for the gradient
	for i, c := range targets {
		if c == IgnoreIndex {
			continue
		}
		row, pr := logits.data[i*n:(i+1)*n], p[i*n:(i+1)*n]
		m := vec.Max(row)
		sum := vec.ExpSub(pr, row, m)
		vec.Scale(pr, pr, 1/sum)
		loss += math.Log(float64(sum)) + float64(m) - float64(row[c])
	}
	y.data[0] = float32(loss / float64(max(1, counted)))
	if y.Recording() {
		in := logits
		OnBackward(func() { // (softmax − onehot)/counted
			g := y.Grad().data[0] / float32(counted)
			dx := in.Grad().Data()
			for i, c := range targets {
				if c != IgnoreIndex {
					vec.Axpy(dx[i*n:(i+1)*n], g, p[i*n:(i+1)*n])
					dx[i*n+c] -= g
				}
			}
		}, y)
	}
	return y
}
