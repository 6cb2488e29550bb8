package tensor

import (
	"fmt"
	"math"
	"slices"

	"github.com/subquad/subquad/internal/kernel/gemm"
)

// MaxRank is the largest number of axes.
const MaxRank = 6

// A DType says how a tensor's elements are held. Arithmetic is float32 for all
// but F64: the narrow types are for weights that are read more often than
// changed, where memory and its bandwidth are what costs. See As for their
// rounding.
type DType uint8

const (
	F32  DType = iota // float32: activations and trained weights
	BF16              // bfloat16: weights only
	F16               // IEEE half: weights only
	F64               // float64: only inside a Float64 scope

	// Weights in a few bits, in the blocks of GGUF files (ggml-org/ggml:
	// src/ggml-common.h): 32 numbers of the last axis in 34 and 18 bytes, 256
	// in 144 and 210, that is 8.5, 4.5, 4.5 and 6.6 bits each.
	Q8_0
	Q4_0
	Q4_K
	Q6_K
)

// String is the type's name as ggml and PyTorch's users know it, such as "BF16" or "Q4_K".
func (d DType) String() string {
	return [...]string{"F32", "BF16", "F16", "F64", "Q8_0", "Q4_0", "Q4_K", "Q6_K"}[d]
}

// A Tensor is an array of numbers with a shape. Element (i, j, …, c) of a
// float32 tensor is data[i*stride[0] + j*stride[1] + … + c]; a view shares its
// base's memory. Tensors are handled by pointer and are safe for concurrent
// reading.
type Tensor struct {
	dtype   DType
	needs   bool // a gradient is wanted for this tensor
	tracked bool // … because it is a leaf on which Track was called
	rank    int
	shape   [MaxRank]int
	stride  [MaxRank]int
	data    []float32 // F32: starts at the view's first element
	bits    []uint16  // BF16, F16
	f64     []float64 // F64
	blocks  []byte    // Q8_0 and its like: all of the base's, for a view too
	panels  bool      // blocks are in the order of gemm's panels
	scope   *Scope
	gen     uint64  // the scope's generation that made it
	base    *Tensor // owner of the memory, nil for an owner
	off     int     // elements from base's first to ours
	grad    []float32
}

// New makes a tensor of zeros on the heap; Scope.New makes one in a scope.
func New(shape ...int) *Tensor {
	t := &Tensor{}
	t.setShape("New", shape)
	t.data = make([]float32, t.Len())
	return t
}

// From makes a heap tensor over data, which it shares; len(data) must be the
// product of shape. Scope.From does so in a scope, which is how steps avoid
// allocating.
func From(data []float32, shape ...int) *Tensor {
	t := &Tensor{}
	t.setShape("From", shape)
	t.wrap("From", data)
	return t
}

// FromBits makes a weight of type BF16 or F16 over its 16-bit patterns, which it shares.
func FromBits(d DType, bits []uint16, shape ...int) *Tensor {
	t := &Tensor{dtype: d, bits: bits}
	t.setShape("FromBits", shape)
	if (d != BF16 && d != F16) || len(bits) != t.Len() {
		panic(&ShapeError{Op: "FromBits", Arg: "bits", Got: []int{len(bits)}, Want: fmt.Sprintf("%d values of type BF16 or F16, not %v", t.Len(), d)})
	}
	return t
}

// FromBlocks makes a weight [rows, columns] of type Q8_0, Q4_0, Q4_K or Q6_K
// over its blocks, which it shares: they may be those of a mapped file.
func FromBlocks(d DType, blocks []byte, rows, columns int) *Tensor {
	t := &Tensor{dtype: d, blocks: blocks}
	t.setShape("FromBlocks", []int{rows, columns})
	if d < Q8_0 {
		panic(&ShapeError{Op: "FromBlocks", Arg: "d", Got: []int{int(d)}, Want: "Q8_0, Q4_0, Q4_K or Q6_K"})
	}
	numbers, size := d.quant().Block()
	if columns%numbers != 0 || len(blocks) != rows*(columns/numbers)*size {
		panic(&ShapeError{Op: "FromBlocks", Arg: "blocks", Got: []int{len(blocks)}, Want: fmt.Sprintf("%d bytes for each %d of %d columns, in %d rows", size, numbers, columns, rows)})
	}
	return t
}

func (d DType) quant() gemm.Quant { return gemm.Quant(d - Q8_0) }

// Blocks are those of a weight, in the order of GGUF files: its memory, or a
// copy where As has arranged them otherwise. A view gives all of its base's.
func (t *Tensor) Blocks() []byte {
	if !t.panels {
		return t.blocks
	}
	if t.base != nil {
		t = t.base
	}
	q := t.dtype.quant()
	b := make([]byte, t.shape[0]*q.RowBytes(t.shape[1]))
	q.FromPanels(b, t.blocks, t.shape[0], t.shape[1])
	return b
}

// toPanels arranges the blocks of a weight for products, where the processor has them
// faster so; their memory has room for it.
func (t *Tensor) toPanels() {
	if gemm.UsesPanels() {
		q := t.dtype.quant()
		panels := t.blocks[:q.PanelBytes(t.shape[0], t.shape[1])]
		q.Panels(panels, t.blocks, t.shape[0], t.shape[1])
		t.blocks, t.panels = panels, true
	}
}

// dequantize widens whole blocks from the element at position o of a base's memory on, all of one row.
func (t *Tensor) dequantize(dst []float32, o int) {
	q := t.dtype.quant()
	if t.panels {
		k := t.stride[0]
		q.DequantizePanel(dst, t.blocks, o/k, k, o%k)
		return
	}
	numbers, size := q.Block()
	q.Dequantize(dst, t.blocks[o/numbers*size:])
}

// widen writes the float32 values of the len(dst) elements from position o on,
// which lie side by side.
func (t *Tensor) widen(o int, dst []float32) {
	if t.dtype == F32 {
		copy(dst, t.data[o:])
		return
	}
	if t.blocks != nil {
		numbers, _ := t.dtype.quant().Block()
		if from := t.off + o; from%numbers == 0 && len(dst)%numbers == 0 {
			t.dequantize(dst, from)
			return
		}
	}
	for c := range dst {
		dst[c] = float32(t.elem(o + c))
	}
}

func (t *Tensor) wrap(op string, data []float32) {
	if len(data) != t.Len() {
		panic(&ShapeError{Op: op, Arg: "data", Got: []int{len(data)}, Want: fmt.Sprintf("%d values for shape %v", t.Len(), t.Shape())})
	}
	t.data = data
}

func (t *Tensor) setShape(op string, shape []int) {
	if len(shape) > MaxRank {
		panic(&ShapeError{Op: op, Arg: "shape", Got: slices.Clone(shape), Want: fmt.Sprintf("at most %d axes", MaxRank)})
	}
	t.rank = len(shape)
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		d := shape[i]
		if d < 0 || (d > 0 && n > maxElements/d) {
			panic(&ShapeError{Op: op, Arg: "shape", Got: slices.Clone(shape), Want: "axes ≥ 0 whose product fits in memory"})
		}
		t.shape[i], t.stride[i] = d, n
		n *= max(d, 1)
	}
}

const maxElements = math.MaxInt / 16

// Shape is the length of each axis. The slice is the tensor's own: do not change it.
func (t *Tensor) Shape() []int { return t.shape[:t.rank] }

// Rank is the number of axes.
func (t *Tensor) Rank() int { return t.rank }

// Dim is the length of axis i; negative i counts from the last axis (-1).
func (t *Tensor) Dim(i int) int { return t.shape[t.axis("Dim", i)] }

func (t *Tensor) axis(op string, i int) int {
	j := i
	if j < 0 {
		j += t.rank
	}
	if j < 0 || j >= t.rank {
		panic(&ShapeError{Op: op, Arg: "axis", Got: []int{i}, Want: fmt.Sprintf("an axis of shape %v", t.Shape())})
	}
	return j
}

// Len is the number of elements.
func (t *Tensor) Len() int {
	n := 1
	for _, d := range t.shape[:t.rank] {
		n *= d
	}
	return n
}

// DType is how the elements are held.
func (t *Tensor) DType() DType { return t.dtype }

// Scope is the scope that owns the tensor, nil for the heap.
func (t *Tensor) Scope() *Scope { return t.scope }

// IsFloat64 reports whether the tensor belongs to a Float64 scope.
func (t *Tensor) IsFloat64() bool { return t.dtype == F64 }

// Contiguous reports whether the elements follow each other without gaps.
func (t *Tensor) Contiguous() bool {
	n := 1
	if t.Len() == 0 {
		return true
	}
	for i := t.rank - 1; i >= 0; i-- {
		if t.shape[i] != 1 && t.stride[i] != n {
			return false
		}
		n *= t.shape[i]
	}
	return true
}

// Data is the memory of a contiguous float32 tensor, in row-major order,
// shared: writing to it changes the tensor. It panics for views with gaps and
// for other types; Float32s copies any tensor.
func (t *Tensor) Data() []float32 {
	if t.dtype != F32 || !t.Contiguous() {
		panic(&ShapeError{Op: "Data", Arg: "t", Got: slices.Clone(t.Shape()), Want: fmt.Sprintf("a contiguous F32 tensor, not %v with strides %v", t.dtype, t.stride[:t.rank])})
	}
	return t.data[:t.Len()]
}

// Bytes is the size of the elements of a tensor without gaps.
func (t *Tensor) Bytes() int {
	switch t.dtype {
	case F32:
		return 4 * t.Len()
	case BF16, F16:
		return 2 * t.Len()
	case F64:
		return 8 * t.Len()
	}
	numbers, size := t.dtype.quant().Block()
	return t.Len() / numbers * size
}

// Bits is the memory of a BF16 or F16 weight.
func (t *Tensor) Bits() []uint16 { return t.bits }

// Rows presents the tensor as n rows of cols = Dim(-1) elements, stride
// elements apart, for kernels: row i is data[i*stride : i*stride+cols]. ok is
// false when the leading axes do not collapse to one stride; Compact gives a
// tensor for which they do.
func (t *Tensor) Rows() (data []float32, n, cols, stride int, ok bool) {
	if t.rank == 0 {
		return t.data, 1, 1, 1, true
	}
	cols = t.shape[t.rank-1]
	n, stride, ok = 1, cols, true
	for i := t.rank - 2; i >= 0; i-- {
		if t.shape[i] == 1 {
			continue
		}
		if n == 1 {
			stride = t.stride[i]
		} else if t.stride[i] != n*stride {
			ok = false
		}
		n *= t.shape[i]
	}
	return t.data, n, cols, stride, ok
}

// Strides are the distances, in elements, between neighbours along each axis; the last is 1.
func (t *Tensor) Strides() []int { return t.stride[:t.rank] }

// Raw is the memory of an F32 tensor from its first element on, to be indexed
// with Strides: for operators that walk views themselves.
func (t *Tensor) Raw() []float32 { return t.data }

// At is the element at the given index, as float64 of whatever the tensor holds.
func (t *Tensor) At(index ...int) float64 {
	if len(index) != t.rank {
		panic(&ShapeError{Op: "At", Arg: "index", Got: slices.Clone(index), Want: fmt.Sprintf("an index into shape %v", t.Shape())})
	}
	o := 0
	for i, x := range index {
		if x < 0 || x >= t.shape[i] {
			panic(&ShapeError{Op: "At", Arg: "index", Got: slices.Clone(index), Want: fmt.Sprintf("an index into shape %v", t.Shape())})
		}
		o += x * t.stride[i]
	}
	return t.elem(o)
}

func (t *Tensor) elem(o int) float64 {
	switch t.dtype {
	case F32:
		return float64(t.data[o])
	case F64:
		return t.f64[o]
	}
	if t.blocks != nil {
		var wide [256]float32
		n, _ := t.dtype.quant().Block()
		o += t.off
		t.dequantize(wide[:n], o-o%n)
		return float64(wide[o%n])
	}
	return float64(bitsToFloat(t.dtype, t.bits[o]))
}

// offsets calls f with the position of each element's row of the last axis, in order.
func (t *Tensor) eachRow(f func(off int)) {
	if t.Len() == 0 {
		return
	}
	if t.rank == 0 {
		f(0)
		return
	}
	var idx [MaxRank]int
	off := 0
	for {
		f(off)
		i := t.rank - 2
		for ; i >= 0; i-- {
			idx[i]++
			off += t.stride[i]
			if idx[i] < t.shape[i] {
				break
			}
			off -= idx[i] * t.stride[i]
			idx[i] = 0
		}
		if i < 0 {
			return
		}
	}
}

// Float64s copies the elements in row-major order, whatever the type and layout, widened.
func (t *Tensor) Float64s() []float64 {
	out := make([]float64, 0, t.Len())
	cols := t.rowLen()
	t.eachRow(func(o int) {
		for c := range cols {
			out = append(out, t.elem(o+c))
		}
	})
	return out
}

// Float32s copies the elements in row-major order, whatever the type and layout.
func (t *Tensor) Float32s() []float32 {
	out := make([]float32, t.Len())
	cols, rest := t.rowLen(), out
	t.eachRow(func(o int) {
		t.widen(o, rest[:cols])
		rest = rest[cols:]
	})
	return out
}

func (t *Tensor) rowLen() int {
	if t.rank == 0 {
		return 1
	}
	return t.shape[t.rank-1]
}

// Values64 is the content of a tensor for an operator's plain float64 form:
// contiguous, in row-major order, possibly shared with the tensor.
func (t *Tensor) Values64() []float64 {
	if t.dtype == F64 && t.Contiguous() {
		return t.f64[:t.Len()]
	}
	return t.Float64s()
}

// SetFrom copies values in row-major order into t, whatever its layout and type (F32 or F64).
func (t *Tensor) SetFrom(src *Tensor) {
	if !slices.Equal(t.Shape(), src.Shape()) {
		panic(&ShapeError{Op: "SetFrom", Arg: "src", Got: slices.Clone(src.Shape()), Want: fmt.Sprint(t.Shape())})
	}
	if t.dtype == F32 && src.dtype == F32 && t.Contiguous() && src.Contiguous() {
		copy(t.data[:t.Len()], src.data)
		return
	}
	if t.dtype == F32 && src.dtype == F32 && (t.Contiguous() || src.Contiguous()) {
		cols := t.rowLen()
		if t.Contiguous() {
			to := t.data
			src.eachRow(func(o int) { to = to[copy(to[:cols], src.data[o:]):] })
		} else {
			from := src.data
			t.eachRow(func(o int) { from = from[copy(t.data[o:o+cols], from):] })
		}
		return
	}
	vals := src.Values64()
	cols := t.rowLen()
	t.eachRow(func(o int) {
		for c := range cols {
			if t.dtype == F64 {
				t.f64[o+c] = vals[c]
			} else {
				t.data[o+c] = float32(vals[c])
			}
		}
		vals = vals[cols:]
	})
}

// Clone copies the tensor to the heap, contiguous; its gradient is not copied.
func (t *Tensor) Clone() *Tensor {
	if t.bits != nil {
		return FromBits(t.dtype, slices.Clone(t.bits), t.Shape()...)
	}
	if t.blocks != nil {
		c := *t
		c.blocks, c.grad = slices.Clone(t.blocks), nil
		return &c
	}
	return From(t.Float32s(), t.Shape()...)
}

// String describes the tensor, for messages: its type and shape, and its values if they are few.
func (t *Tensor) String() string {
	s := fmt.Sprintf("%v%v", t.dtype, t.Shape())
	if n := t.Len(); n <= 64 {
		s += fmt.Sprint(t.Float32s())
	}
	return s
}

// A ShapeError is what operators panic with when their arguments do not fit: a
// bug of the calling program, which recover can turn into an error where shapes
// come from outside, as lm does.
type ShapeError struct {
	Op   string // the operator
	Arg  string // the argument
	Got  []int  // its shape (or the offending numbers)
	Want string // what was expected
}

func (e *ShapeError) Error() string {
	return fmt.Sprintf("%s: %s is %v, want %s", e.Op, e.Arg, e.Got, e.Want)
}

// Check panics with a *ShapeError unless t has the given shape; -1 matches any length.
func Check(op, arg string, t *Tensor, shape ...int) {
	ok := t != nil && t.rank == len(shape)
	for i := 0; ok && i < len(shape); i++ {
		ok = shape[i] < 0 || shape[i] == t.shape[i]
	}
	if ok {
		return
	}
	e := &ShapeError{Op: op, Arg: arg, Want: fmt.Sprint(slices.Clone(shape))}
	if t != nil {
		e.Got = slices.Clone(t.Shape())
	}
	panic(e)
}

func (t *Tensor) shapeString() string { return fmt.Sprint(t.Shape()) }
