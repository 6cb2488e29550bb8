package tensor

import (
	"fmt"
	"slices"
)

// view makes a tensor that shares t's memory, off elements on.
func (t *Tensor) view(off int) *Tensor {
	v := t.scope.header()
	*v = *t
	v.grad, v.tracked = nil, false
	v.base = t
	if t.base != nil {
		v.base = t.base
	}
	v.off = t.off + off
	switch {
	case t.f64 != nil:
		v.f64 = t.f64[min(off, len(t.f64)):]
	case t.blocks != nil: // found by off
	case t.bits != nil:
		v.bits = t.bits[min(off, len(t.bits)):]
	default:
		v.data = t.data[min(off, len(t.data)):]
	}
	return v
}

// Narrow is the view of elements lo ≤ i < hi along an axis. Its gradient is
// the same view of t's gradient.
func (t *Tensor) Narrow(axis, lo, hi int) *Tensor {
	axis = t.axis("Narrow", axis)
	if lo < 0 || hi < lo || hi > t.shape[axis] {
		panic(&ShapeError{Op: "Narrow", Arg: "range", Got: []int{lo, hi}, Want: fmt.Sprintf("a range within axis %d of %v", axis, t.Shape())})
	}
	v := t.view(lo * t.stride[axis])
	v.shape[axis] = hi - lo
	return v
}

// Select is the view at index i of an axis, which disappears (not the last axis of a tensor of rank > 1 unless its length is 1).
func (t *Tensor) Select(axis, i int) *Tensor {
	axis = t.axis("Select", axis)
	v := t.Narrow(axis, i, i+1)
	if axis == t.rank-1 && t.rank > 1 && t.shape[axis] != 1 {
		panic(&ShapeError{Op: "Select", Arg: "axis", Got: []int{axis}, Want: "an axis before the last, which stays contiguous"})
	}
	copy(v.shape[axis:], t.shape[axis+1:])
	copy(v.stride[axis:], t.stride[axis+1:])
	v.rank--
	return v
}

// Chunks cuts the last axis into views of the given sizes, whose sum it must be.
func (t *Tensor) Chunks(sizes ...int) []*Tensor {
	out := make([]*Tensor, len(sizes))
	lo := 0
	for i, n := range sizes {
		out[i] = t.Narrow(-1, lo, lo+n)
		lo += n
	}
	if lo != t.Dim(-1) {
		panic(&ShapeError{Op: "Chunks", Arg: "sizes", Got: slices.Clone(sizes), Want: fmt.Sprintf("sizes that add up to %d", t.Dim(-1))})
	}
	return out
}

// Reshape is the same elements, in row-major order, under another shape; one
// axis may be -1 (whatever fits). It is a view where the layout allows (always
// for contiguous tensors, and for splitting the last axis), else a copy.
func (t *Tensor) Reshape(shape ...int) *Tensor {
	var full [MaxRank]int
	if len(shape) > MaxRank {
		panic(&ShapeError{Op: "Reshape", Arg: "shape", Got: slices.Clone(shape), Want: fmt.Sprintf("at most %d axes", MaxRank)})
	}
	free, n := -1, 1
	for i, d := range shape {
		full[i] = d
		if d < 0 && free < 0 {
			free = i
			continue
		}
		n *= d
	}
	if free >= 0 && n > 0 {
		full[free] = t.Len() / n
		n *= full[free]
	} else if free >= 0 {
		full[free] = 0
	}
	if n != t.Len() {
		panic(&ShapeError{Op: "Reshape", Arg: "shape", Got: slices.Clone(shape), Want: fmt.Sprintf("%d elements, as %v has", t.Len(), t.Shape())})
	}
	src := t
	keep := 0 // leading axes that stay as they are
	if !t.Contiguous() {
		for keep < t.rank-1 && keep < len(shape) && full[keep] == t.shape[keep] {
			keep++
		}
		if keep < t.rank-1 { // leading axes change: possible only where they collapse to one stride
			_, rows, cols, stride, ok := t.Rows()
			lead, k := 1, 0
			for k < len(shape) && lead < rows {
				lead *= full[k]
				k++
			}
			if ok && lead == rows {
				v := t.view(0)
				v.setShape("Reshape", full[:len(shape)])
				s := stride
				for i := k - 1; i >= 0; i-- {
					v.stride[i] = s
					s *= full[i]
				}
				_ = cols
				return v
			}
			src, keep = Compact(t), 0
		}
	}
	v := src.view(0)
	v.setShape("Reshape", full[:len(shape)])
	copy(v.stride[:keep], src.stride[:keep])
	return v
}
