package tensor

import (
	"fmt"
	"slices"

	"github.com/subquad/subquad/internal/kernel/vec"
)

// Sum adds up along an axis, which stays with length 1 if keep, or goes.
func Sum(x *Tensor, axis int, keep bool) *Tensor { return sum("Sum", x, axis, keep, 1) }

// Mean is Sum divided by the length of the axis.
func Mean(x *Tensor, axis int, keep bool) *Tensor {
	return sum("Mean", x, axis, keep, 1/float32(max(1, x.Dim(axis))))
}

// SumAll is the sum of all elements, a tensor without axes.
func SumAll(x *Tensor) *Tensor { return sumAll("SumAll", x, 1) }

// MeanAll is the mean of all elements, a tensor without axes.
func MeanAll(x *Tensor) *Tensor { return sumAll("MeanAll", x, 1/float32(max(1, x.Len()))) }

func sumAll(op string, x *Tensor, scale float32) *Tensor {
	y := Out(op, nil, x)
	s := 0.0
	if y.IsFloat64() {
		for _, v := range x.Values64() {
			s += v
		}
		y.f64[0] = s * float64(scale)
		return y
	}
	cols := x.rowLen()
	x.eachRow(func(o int) { s += float64(vec.Sum(x.data[o : o+cols])) })
	y.data[0] = float32(s * float64(scale))
	if y.Recording() {
		OnBackward(func() {
			g, dx := y.Grad().data[0]*scale, x.Grad()
			dx.eachRow(func(o int) {
				d := dx.data[o : o+cols]
				vec.Offset(d, d, g)
			})
		}, y)
	}
	return y
}

// sum is over one axis: x is seen as [outer, n, inner].
func sum(op string, x *Tensor, axis int, keep bool, scale float32) *Tensor {
	axis = x.axis(op, axis)
	var shape [MaxRank]int
	rank := copy(shape[:], x.Shape())
	n, outer, inner := x.shape[axis], 1, 1
	for i, d := range x.Shape() {
		if i < axis {
			outer *= d
		} else if i > axis {
			inner *= d
		}
	}
	if shape[axis] = 1; !keep {
		copy(shape[axis:], x.shape[axis+1:rank])
		rank--
	}
	y := Out(op, shape[:rank], x)
	if y.IsFloat64() {
		v := x.Values64()
		for o := range outer {
			for k := range n {
				for i := range inner {
					y.f64[o*inner+i] += v[(o*n+k)*inner+i] * float64(scale)
				}
			}
		}
		return y
	}
	x = Contiguous(x)
	clear(y.data)
	for o := range outer {
		rows, dst := x.data[o*n*inner:(o+1)*n*inner], y.data[o*inner:(o+1)*inner]
		if inner == 1 {
			dst[0] = vec.Sum(rows) * scale
			continue
		}
		for k := range n {
			vec.Axpy(dst, scale, rows[k*inner:])
		}
	}
	if y.Recording() {
		in := x
		OnBackward(func() {
			dy, dx := y.Grad().Data(), in.Grad().Data()
			for o := range outer {
				for k := range n {
					d := dx[(o*n+k)*inner:][:inner]
					if inner == 1 {
						d[0] += scale * dy[o]
					} else {
						vec.Axpy(d, scale, dy[o*inner:])
					}
				}
			}
		}, y)
	}
	return y
}

// Concat joins tensors along an axis; the other axes must agree.
func Concat(axis int, xs ...*Tensor) *Tensor {
	if len(xs) == 0 {
		panic(&ShapeError{Op: "Concat", Arg: "xs", Want: "at least one tensor"})
	}
	axis = xs[0].axis("Concat", axis)
	var shape [MaxRank]int
	rank := copy(shape[:], xs[0].Shape())
	for _, x := range xs[1:] {
		for i := range max(rank, x.rank) {
			if x.rank != rank || i != axis && x.shape[i] != shape[i] {
				panic(&ShapeError{Op: "Concat", Arg: "xs", Got: slices.Clone(x.Shape()), Want: fmt.Sprintf("the shape %v but for axis %d", xs[0].Shape(), axis)})
			}
		}
		shape[axis] += x.shape[axis]
	}
	y := Out("Concat", shape[:rank], xs...)
	lo := 0
	for _, x := range xs {
		y.Narrow(axis, lo, lo+x.shape[axis]).SetFrom(x)
		lo += x.shape[axis]
	}
	if y.Recording() {
		parts := slices.Clone(xs)
		OnBackward(func() {
			dy, lo := y.Grad(), 0
			for _, x := range parts {
				hi := lo + x.shape[axis]
				if x.NeedsGrad() {
					addTo(x.Grad(), contiguous(dy.Narrow(axis, lo, hi)))
				}
				lo = hi
			}
		}, y)
	}
	return y
}

// contiguous is a plain copy of a gradient's view, without recording.
func contiguous(t *Tensor) *Tensor {
	if t.Contiguous() {
		return t
	}
	c := New(t.Shape()...)
	c.SetFrom(t)
	return c
}

// Transpose exchanges two axes, as a copy.
func Transpose(x *Tensor, i, j int) *Tensor {
	i, j = x.axis("Transpose", i), x.axis("Transpose", j)
	var shape [MaxRank]int
	copy(shape[:], x.Shape())
	shape[i], shape[j] = shape[j], shape[i]
	y := Out("Transpose", shape[:x.rank], x)
	if y.IsFloat64() {
		transpose(y.f64, x.Values64(), x.Shape(), i, j)
		return y
	}
	x = Contiguous(x)
	transpose(y.data, x.data, x.Shape(), i, j)
	if y.Recording() {
		in := x
		OnBackward(func() {
			t := make([]float32, in.Len())
			transpose(t, y.Grad().Data(), y.Shape(), i, j)
			dx := in.Grad().Data()
			vec.Add(dx, dx, t)
		}, y)
	}
	return y
}

// transpose copies src, of the given shape, with axes i and j exchanged.
func transpose[T any](dst, src []T, shape []int, i, j int) {
	if i == j || len(src) == 0 {
		copy(dst, src)
		return
	}
	i, j = min(i, j), max(i, j)
	// src is [outer, I, mid, J, inner], dst [outer, J, mid, I, inner].
	outer, mid, inner := 1, 1, 1
	for a, d := range shape {
		switch {
		case a < i:
			outer *= d
		case a > i && a < j:
			mid *= d
		case a > j:
			inner *= d
		}
	}
	I, J := shape[i], shape[j]
	for o := range outer {
		for a := range I {
			for m := range mid {
				for b := range J {
					s := (((o*I+a)*mid+m)*J + b) * inner
					d := (((o*J+b)*mid+m)*I + a) * inner
					copy(dst[d:d+inner], src[s:s+inner])
				}
			}
		}
	}
}

// Cumsum is the running sum along an axis.
func Cumsum(x *Tensor, axis int) *Tensor {
	axis = x.axis("Cumsum", axis)
	n, inner := x.shape[axis], 1
	for _, d := range x.shape[axis+1 : x.rank] {
		inner *= d
	}
	y := Out("Cumsum", x.Shape(), x)
	y.SetFrom(x)
	each := func(f func(at, before int)) {
		for i := range y.Len() {
			if i/inner%n > 0 {
				f(i, i-inner)
			}
		}
	}
	if y.IsFloat64() {
		each(func(at, before int) { y.f64[at] += y.f64[before] })
		return y
	}
	each(func(at, before int) { y.data[at] += y.data[before] })
	if y.Recording() {
		OnBackward(func() { // the running sum from the end
			g := slices.Clone(y.Grad().Data())
			for i := len(g) - 1; i >= 0; i-- {
				if i/inner%n < n-1 {
					g[i] += g[i+inner]
				}
			}
			addTo(x.Grad(), From(g, x.Shape()...))
		}, y)
	}
	return y
}
