package tensor

import (
	"fmt"
	"math"
	"slices"

	"github.com/subquad/subquad/hw"
	"gonum.org/v1/gonum/mat"
)

// FromDense copies a gonum matrix to a heap tensor [rows, columns], rounding to float32.
func FromDense(m mat.Matrix) *Tensor {
	r, c := m.Dims()
	t := New(r, c)
	for i := range r {
		for j := range c {
			t.data[i*c+j] = float32(m.At(i, j))
		}
	}
	return t
}

// ToDense copies a tensor of two axes to a gonum matrix.
func ToDense(t *Tensor) *mat.Dense {
	Check("ToDense", "t", t, -1, -1)
	if t.Len() == 0 {
		return &mat.Dense{}
	}
	return mat.NewDense(t.Dim(0), t.Dim(1), t.Float64s())
}

// As copies a heap tensor to another type of element, rounding to nearest even:
// BF16 and F16 for weights that should take half the memory, F32 back. Q8_0,
// Q4_0, Q4_K and Q6_K, for weights [rows, columns] whose columns are a multiple
// of the block, take a quarter and less and round to a step of the block's own
// scale; they are arranged for the instruction level in use.
func As(d DType, t *Tensor) *Tensor {
	v := t.Float32s()
	switch d {
	case F32:
		return From(v, t.Shape()...)
	case BF16, F16:
		bits := make([]uint16, len(v))
		for i, x := range v {
			if d == BF16 {
				bits[i] = toBF16(x)
			} else {
				bits[i] = toF16(x)
			}
		}
		return FromBits(d, bits, t.Shape()...)
	}
	if d < Q8_0 {
		panic(&ShapeError{Op: "As", Arg: "d", Got: []int{int(d)}, Want: "F32, BF16, F16 or a type of blocks"})
	}
	Check("As", "t", t, -1, -1)
	numbers, size := d.quant().Block()
	if t.Dim(1)%numbers != 0 {
		panic(&ShapeError{Op: "As", Arg: "t", Got: slices.Clone(t.Shape()), Want: fmt.Sprintf("columns in multiples of %d for %v", numbers, d)})
	}
	q := d.quant()
	blocks := make([]byte, len(v)/numbers*size, q.PanelBytes(t.Dim(0), t.Dim(1)))
	q.Quantize(blocks, v)
	y := FromBlocks(d, blocks, t.Dim(0), t.Dim(1))
	y.toPanels()
	return y
}

// Convert makes t, a weight on the heap, hold its elements in another type from now
// on, as As does. A type that is not F32 gets no gradient.
func (t *Tensor) Convert(d DType) {
	if t.scope != nil || t.base != nil {
		panic(&ShapeError{Op: "Convert", Arg: "t", Got: slices.Clone(t.Shape()), Want: "a tensor of the heap that is no view"})
	}
	tracked := t.tracked && d == F32
	*t = *As(d, t)
	if tracked {
		t.Track()
	}
}

// LargePages asks the system to hold t's elements in large pages: see
// hw.LargePages. It is for weights and states that every token goes through.
func (t *Tensor) LargePages() {
	hw.LargePages(t.data)
	hw.LargePages(t.bits)
	hw.LargePages(t.blocks)
}

// Fits reports whether t's rows are whole blocks of the type.
func (t *Tensor) Fits(d DType) bool {
	if d < Q8_0 {
		return d != F64
	}
	numbers, _ := d.quant().Block()
	return t.rank == 2 && t.Dim(1)%numbers == 0
}

func toBF16(x float32) uint16 {
	b := math.Float32bits(x)
	if x != x {
		return uint16(b>>16) | 0x40 // a quiet NaN stays one
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

func toF16(x float32) uint16 {
	b := math.Float32bits(x)
	sign := uint16(b >> 16 & 0x8000)
	a := b & 0x7fffffff
	switch {
	case a > 0x7f800000: // NaN
		return sign | 0x7e00 | uint16(a>>13&0x3ff)
	case a >= 0x477ff000: // rounds to 2^16 or more
		return sign | 0x7c00
	case a < 0x38800000: // below 2^−14: a multiple of 2^−24
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(a))*(1<<24)))
	}
	return sign | uint16((a-0x38000000+0xfff+a>>13&1)>>13)
}
