package tensor

import (
	"fmt"
	"runtime"
	"slices"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/gemm"
)

// A Scope owns the memory of intermediate results. Reset gives all of it back
// at once, for the next step to use, so that a steady loop allocates nothing.
// A recording scope also remembers how results were made, for Backward. A
// Scope is for one goroutine; tensors of a scope must not be used after its
// Reset, and tensors of two scopes do not meet in one operator.
type Scope struct {
	record  bool
	float64 bool
	workers int
	team    *hw.Team
	prec    gemm.Precision
	gen     uint64

	slabs   [][]float32
	slab    int // the slab in use
	used    int // floats used of it
	slabs64 [][]float64
	heads   [][]Tensor
	head    int // headers handed out
	tape    []node
}

// An Option configures NewScope.
type Option func(*Scope)

// Record makes the scope remember how results are made, so that Backward can
// compute gradients. Memory is kept until Reset.
func Record() Option { return func(s *Scope) { s.record = true } }

// Workers bounds the goroutines that operators use; 0, the default, means
// GOMAXPROCS. Results are the same bits for any number.
func Workers(n int) Option { return func(s *Scope) { s.workers = n } }

// A Precision says how exactly MatMul and MatMulT multiply many rows on a
// processor with tiles of bfloat16 (hw.AMX), and any number of rows with a weight in
// blocks on one with AVX-512 VNNI; everywhere else all are Highest. Sums of
// products are float32 in each, or exact integers within a block.
type Precision uint8

const (
	// Highest, the default, takes every number whole, as a sum of three
	// bfloat16: as good as float32 arithmetic, and faster where shapes are large.
	// What meets blocks has 23 bits below the largest of 32 numbers, which is as good.
	Highest Precision = iota

	// High takes numbers as sums of two bfloat16: an error of 1e-6 of an
	// element's products, for half to two thirds of the work of Highest. With
	// blocks it is 15 bits, and 3e-5.
	High

	// Medium rounds numbers to bfloat16, as is usual on other hardware: 8e-4 of
	// an element's products, for a third to a sixth of the work of Highest. With
	// blocks it rounds to 8 bits, as is usual in other libraries: 8e-3.
	Medium
)

// MatMulPrecision sets the precision of matrix products, of gradients too.
// What it does to a model is best measured: go run ./bench/lmbench -precision medium.
func MatMulPrecision(p Precision) Option {
	if p > Medium {
		panic(fmt.Sprintf("tensor: Precision(%d): want Highest, High or Medium", p))
	}
	return func(s *Scope) { s.prec = gemm.Precision(p) }
}

// precision of products in the scope; a nil scope has the highest.
func (s *Scope) precision() gemm.Precision {
	if s == nil {
		return gemm.Highest
	}
	return s.prec
}

// Float64 makes every operator compute its plain form in float64: slow, and
// the truth that the fast forms are tested against. It does not record.
func Float64() Option { return func(s *Scope) { s.float64 = true } }

// NewScope makes a scope.
func NewScope(options ...Option) *Scope {
	s := &Scope{gen: 1}
	for _, o := range options {
		o(s)
	}
	if s.float64 && s.record {
		panic("tensor: a Float64 scope does not record: gradients are taken in float32 and checked by differences in float64")
	}
	return s
}

// Workers is the bound on goroutines that operators in this scope respect, as
// hw.Parallel takes it; 0 means GOMAXPROCS. A nil scope has no bound.
func (s *Scope) Workers() int {
	switch {
	case s == nil:
		return 0
	case s.team != nil:
		return s.team.Workers()
	}
	return s.workers
}

// StartTeam keeps the scope's goroutines awake from one operator to the next
// (hw.Team), until StopTeam: for a token, or all of a text's, whose operators are each
// too short to wake anybody. It reports whether it did: a scope with one worker,
// one that records, or that has a team already, stays as it is.
func (s *Scope) StartTeam() bool {
	if s == nil || s.record || s.team != nil {
		return false
	}
	workers := s.workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	if workers < 2 {
		return false
	}
	s.team = hw.StartTeam(workers)
	return true
}

// StopTeam ends what StartTeam began.
func (s *Scope) StopTeam() {
	if s != nil && s.team != nil {
		s.team.Stop()
		s.team = nil
	}
}

// Recording reports whether the scope remembers how results are made.
func (s *Scope) Recording() bool { return s != nil && s.record }

// IsFloat64 reports whether the scope computes plain forms in float64.
func (s *Scope) IsFloat64() bool { return s != nil && s.float64 }

// Reset takes back all memory and forgets what was recorded.
func (s *Scope) Reset() {
	s.gen++
	s.slab, s.used, s.head = 0, 0, 0
	s.slabs64 = s.slabs64[:0]
	clear(s.tape)
	s.tape = s.tape[:0]
}

// Bytes is the memory that the scope holds.
func (s *Scope) Bytes() int {
	n := 0
	for _, b := range s.slabs {
		n += 4 * len(b)
	}
	for _, b := range s.slabs64 {
		n += 8 * len(b)
	}
	return n
}

const (
	slabFloats  = 1 << 18 // 1 MiB
	headerBlock = 256
	align       = 16 // floats: one cache line
)

// Floats is uninitialised scratch memory of the scope (of the heap, zeroed, for a nil scope).
func (s *Scope) Floats(n int) []float32 {
	if s == nil {
		return make([]float32, n)
	}
	need := (n + align - 1) &^ (align - 1)
	for s.slab < len(s.slabs) {
		b := s.slabs[s.slab]
		if s.used+need <= len(b) {
			out := b[s.used : s.used+n : s.used+need]
			s.used += need
			return out
		}
		s.slab++
		s.used = 0
	}
	s.slabs = append(s.slabs, make([]float32, max(need, slabFloats)))
	s.slab, s.used = len(s.slabs)-1, need
	return s.slabs[s.slab][:n:need]
}

func (s *Scope) header() *Tensor {
	if s == nil {
		return &Tensor{}
	}
	if s.head == len(s.heads)*headerBlock {
		s.heads = append(s.heads, make([]Tensor, headerBlock))
	}
	t := &s.heads[s.head/headerBlock][s.head%headerBlock]
	s.head++
	*t = Tensor{}
	return t
}

// make returns a tensor in the scope (or on the heap) with uninitialised memory.
func (s *Scope) make(op string, shape []int) *Tensor {
	t := s.header()
	t.setShape(op, shape)
	if s != nil {
		t.scope, t.gen = s, s.gen
		if s.float64 {
			t.dtype = F64
			t.f64 = make([]float64, t.Len())
			s.slabs64 = append(s.slabs64, t.f64)
			return t
		}
	}
	t.data = s.Floats(t.Len())
	return t
}

// New makes a tensor of zeros in the scope.
func (s *Scope) New(shape ...int) *Tensor {
	t := s.make("New", shape)
	clear(t.data)
	return t
}

// From brings data into the scope, shared, as a tensor; len(data) must be the
// product of shape. It is where activations enter. (A Float64 scope copies.)
func (s *Scope) From(data []float32, shape ...int) *Tensor {
	if s == nil {
		return From(data, shape...)
	}
	t := s.header()
	t.setShape("From", shape)
	t.scope, t.gen = s, s.gen
	t.wrap("From", data)
	if s.float64 {
		t.dtype, t.f64, t.data = F64, make([]float64, len(data)), nil
		for i, v := range data {
			t.f64[i] = float64(v)
		}
	}
	return t
}

// A Mark is a point in a scope's use of memory.
type Mark struct{ slab, used, head int }

// Mark remembers where the scope's memory stands, for Release.
func (s *Scope) Mark() Mark {
	if s == nil {
		return Mark{}
	}
	return Mark{s.slab, s.used, s.head}
}

// Release gives back what the scope handed out since m, except the value of
// keep, which it returns (moved); keep may be nil. It lets a deep model run in the memory of
// one layer. In recording and Float64 scopes, and for a nil scope, it does nothing.
func (s *Scope) Release(m Mark, keep *Tensor) *Tensor {
	if s == nil || s.record || s.float64 {
		return keep
	}
	if keep == nil {
		s.slab, s.used, s.head = m.slab, m.used, m.head
		return nil
	}
	src := keep.Data()
	rank, shape := keep.rank, keep.shape
	s.slab, s.used, s.head = m.slab, m.used, m.head
	t := s.header()
	t.setShape("Release", shape[:rank])
	t.scope, t.gen = s, s.gen
	t.data = s.Floats(len(src))
	copy(t.data, src) // moves towards the front: copy handles the overlap
	return t
}

// ScopeOf is the scope that an operator on these tensors works in: the one
// that any of them belongs to. nil tensors are skipped. Two different scopes,
// or a tensor kept over its scope's Reset, are a misuse.
func ScopeOf(op string, inputs ...*Tensor) *Scope {
	var s *Scope
	for _, t := range inputs {
		if t == nil || t.scope == nil {
			continue
		}
		if t.gen != t.scope.gen {
			panic(&ShapeError{Op: op, Arg: "input", Got: slices.Clone(t.Shape()), Want: "a tensor of the scope's present step (this one was made before Reset)"})
		}
		if s != nil && t.scope != s {
			panic(&ShapeError{Op: op, Arg: "input", Got: slices.Clone(t.Shape()), Want: "all inputs from one scope"})
		}
		s = t.scope
	}
	return s
}

// Out makes the result of an operator: a tensor of the given shape where the
// inputs live, with uninitialised memory (zeros on the heap). It wants a
// gradient when the scope records and an input does.
func Out(op string, shape []int, inputs ...*Tensor) *Tensor {
	s := ScopeOf(op, inputs...)
	t := s.make(op, shape)
	if s.Recording() {
		for _, in := range inputs {
			t.needs = t.needs || (in != nil && in.NeedsGrad())
		}
	}
	return t
}

// SetValues64 fills t, the result of an operator's plain form in a Float64
// scope, with values in row-major order; it may keep v. The inputs' are
// Values64.
func (t *Tensor) SetValues64(v []float64) {
	if len(v) != t.Len() {
		panic(fmt.Sprintf("tensor: %d values for shape %v", len(v), t.Shape()))
	}
	copy(t.f64, v)
}

// OutIn is Out in a given scope, for operators whose inputs are all weights.
func OutIn(s *Scope, op string, shape []int, inputs ...*Tensor) *Tensor {
	t := s.make(op, shape)
	for _, in := range inputs {
		t.needs = t.needs || s.Recording() && in.NeedsGrad()
	}
	return t
}

// SetFloat64s fills a contiguous tensor with values in row-major order, rounded to its type.
func (t *Tensor) SetFloat64s(v []float64) {
	if t.dtype == F64 {
		t.SetValues64(v)
		return
	}
	d := t.Data()
	for i := range d {
		d[i] = float32(v[i])
	}
}
