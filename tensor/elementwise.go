package tensor

import (
	"math"
	"slices"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/vec"
)

// A unary operator: its plain form, its kernel, and its gradient, which adds
// dy·f′ to dx given x and y.
type unary struct {
	name  string
	plain func(x float64) float64
	fast  func(dst, x []float32)
	grad  func(dx, dy, x, y []float32)
	ns    float64 // of one element, about
}

func sigmoid64(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

var (
	opExp = unary{"Exp", math.Exp, vec.Exp, func(dx, dy, _, y []float32) { vec.MulAdd(dx, dy, y) }, 0.5}
	opLog = unary{"Log", math.Log, vec.Log, func(dx, dy, x, _ []float32) {
		for i, d := range dy {
			dx[i] += d / x[i]
		}
	}, 1}
	opSigmoid = unary{"Sigmoid", sigmoid64, vec.Sigmoid, func(dx, dy, _, y []float32) { vec.SigmoidGrad(dx, dy, y) }, 0.5}
	opSiLU    = unary{"SiLU", func(x float64) float64 {
		if x < -700 {
			return 0 // the limit; −Inf·0 is not a number
		}
		return x * sigmoid64(x)
	}, vec.SiLU, func(dx, dy, x, _ []float32) { vec.SiLUGrad(dx, dy, x) }, 0.5}
	opSoftplus = unary{"Softplus", func(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) },
		vec.Softplus, func(dx, dy, x, _ []float32) { vec.SoftplusGrad(dx, dy, x) }, 1}
	opTanh = unary{"Tanh", math.Tanh, vec.Tanh, func(dx, dy, _, y []float32) { vec.TanhGrad(dx, dy, y) }, 1}
	opGELU = unary{"GELU", func(x float64) float64 {
		if x < -40 {
			return 0
		}
		return x * 0.5 * math.Erfc(-x/math.Sqrt2)
	}, vec.GELU, func(dx, dy, x, _ []float32) { vec.GELUGrad(dx, dy, x) }, 2}
	opGELUTanh = unary{"GELUTanh", func(x float64) float64 {
		if x < -40 {
			return 0
		}
		return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	}, vec.GELUTanh, func(dx, dy, x, _ []float32) { vec.GELUTanhGrad(dx, dy, x) }, 2}
	opReLU = unary{"ReLU", func(x float64) float64 { return max(x, 0) }, vec.ReLU, func(dx, dy, x, _ []float32) {
		for i, d := range dy {
			if x[i] > 0 {
				dx[i] += d
			}
		}
	}, 0.1}
	opReLU2  = unary{"ReLU2", func(x float64) float64 { return max(x, 0) * max(x, 0) }, vec.ReLU2, func(dx, dy, x, _ []float32) { vec.ReLU2Grad(dx, dy, x) }, 0.1}
	opSquare = unary{"Square", func(x float64) float64 { return x * x }, func(dst, x []float32) { vec.Mul(dst, x, x) },
		func(dx, dy, x, _ []float32) { vec.MulAdd(dx, dy, x); vec.MulAdd(dx, dy, x) }, 0.1}
	opSqrt = unary{"Sqrt", math.Sqrt, func(dst, x []float32) {
		for i, v := range x[:len(dst)] {
			dst[i] = float32(math.Sqrt(float64(v)))
		}
	}, func(dx, dy, _, y []float32) {
		for i, d := range dy {
			dx[i] += d / (2 * y[i])
		}
	}, 1}
	opSin = unary{"Sin", math.Sin, func(dst, x []float32) {
		for i, v := range x[:len(dst)] {
			dst[i] = float32(math.Sin(float64(v)))
		}
	}, func(dx, dy, x, _ []float32) {
		for i, d := range dy {
			dx[i] += d * float32(math.Cos(float64(x[i])))
		}
	}, 10}
	opNeg = unary{"Neg", func(x float64) float64 { return -x }, func(dst, x []float32) { vec.Scale(dst, x, -1) },
		func(dx, dy, _, _ []float32) { vec.Axpy(dx, -1, dy) }, 0.1}
)

// Exp is e^x.
func Exp(x *Tensor) *Tensor { return apply(&opExp, x) }

// Log is the natural logarithm.
func Log(x *Tensor) *Tensor { return apply(&opLog, x) }

// Sigmoid is σ(x) = 1/(1 + e^−x).
func Sigmoid(x *Tensor) *Tensor { return apply(&opSigmoid, x) }

// SiLU is x σ(x), also called swish.
func SiLU(x *Tensor) *Tensor { return apply(&opSiLU, x) }

// Softplus is ln(1 + e^x).
func Softplus(x *Tensor) *Tensor { return apply(&opSoftplus, x) }

// Tanh is the hyperbolic tangent.
func Tanh(x *Tensor) *Tensor { return apply(&opTanh, x) }

// GELU is x Φ(x) with the exact normal distribution function Φ.
func GELU(x *Tensor) *Tensor { return apply(&opGELU, x) }

// GELUTanh is the approximation of GELU by tanh that GPT-2 uses.
func GELUTanh(x *Tensor) *Tensor { return apply(&opGELUTanh, x) }

// ReLU is max(x, 0).
func ReLU(x *Tensor) *Tensor { return apply(&opReLU, x) }

// ReLU2 is max(x, 0)².
func ReLU2(x *Tensor) *Tensor { return apply(&opReLU2, x) }

// Square is x².
func Square(x *Tensor) *Tensor { return apply(&opSquare, x) }

// Sqrt is √x.
func Sqrt(x *Tensor) *Tensor { return apply(&opSqrt, x) }

// Neg is −x.
func Neg(x *Tensor) *Tensor { return apply(&opNeg, x) }

// Sin is the sine of x in radians.
func Sin(x *Tensor) *Tensor { return apply(&opSin, x) }

func apply(op *unary, x *Tensor) *Tensor {
	y := Out(op.name, x.Shape(), x)
	if y.IsFloat64() {
		v := x.Values64()
		for i := range y.f64 {
			y.f64[i] = op.plain(v[i])
		}
		return y
	}
	rowsOf(y.scope.Workers(), op.ns, y, x, nil, op.fast)
	if y.Recording() {
		OnBackward(func() {
			if !x.NeedsGrad() {
				return
			}
			dx, dy := x.Grad(), y.Grad().Data()
			cols := x.rowLen()
			i := 0
			x.eachRow(func(o int) {
				op.grad(dx.data[o:o+cols], dy[i:i+cols], x.data[o:o+cols], y.data[i:i+cols])
				i += cols
			})
		}, y)
	}
	return y
}

// rowsOf calls f(dst, src) for rows of y and x, or for the whole in one piece,
// or pieces side by side, where x is contiguous.
func rowsOf(workers int, ns float64, y, x *Tensor, _ *Tensor, f func(dst, src []float32)) {
	n := y.Len()
	if x.Contiguous() {
		if tasks := hw.Tasks(workers, n, ns); tasks > 1 {
			pieces(workers, tasks, y.data[:n], x.data[:n], f)
		} else {
			f(y.data[:n], x.data[:n])
		}
		return
	}
	cols, i := x.rowLen(), 0
	x.eachRow(func(o int) {
		f(y.data[i:i+cols], x.data[o:o+cols])
		i += cols
	})
}

func pieces(workers, tasks int, dst, src []float32, f func(dst, src []float32)) {
	hw.Parallel(workers, tasks, func(i int) {
		lo, hi := hw.Range(i, tasks, len(dst))
		f(dst[lo:hi], src[lo:hi])
	})
}

// Scale is c·x.
func Scale(x *Tensor, c float32) *Tensor { return affine("Scale", x, c, 0) }

// AddConst is x + c.
func AddConst(x *Tensor, c float32) *Tensor { return affine("AddConst", x, 1, c) }

// affine is a·x + c.
func affine(op string, x *Tensor, a, c float32) *Tensor {
	y := Out(op, x.Shape(), x)
	if y.IsFloat64() {
		for i, v := range x.Values64() {
			y.f64[i] = float64(a)*v + float64(c)
		}
		return y
	}
	cols, i := x.rowLen(), 0
	if x.Contiguous() {
		cols = x.Len()
	}
	row := func(o int) {
		if a == 1 {
			vec.Offset(y.data[i:i+cols], x.data[o:o+cols], c)
		} else {
			vec.Scale(y.data[i:i+cols], x.data[o:o+cols], a)
		}
		i += cols
	}
	if x.Contiguous() {
		row(0)
	} else {
		x.eachRow(row)
	}
	if y.Recording() {
		OnBackward(func() { axpyTo(x.Grad(), a, y.Grad()) }, y)
	}
	return y
}

// axpyTo adds a·src, contiguous, to dst of any layout; nil dst is nothing.
func axpyTo(dst *Tensor, a float32, src *Tensor) {
	if dst == nil {
		return
	}
	cols, g := dst.rowLen(), src.Data()
	dst.eachRow(func(o int) {
		vec.Axpy(dst.data[o:o+cols], a, g[:cols])
		g = g[cols:]
	})
}

// An arith is a binary operator, by what it does with a row.
type arith uint8

const (
	opAdd arith = iota
	opSub
	opMul
	opDiv
	opSiLUMul
)

var arithNames = [...]string{"Add", "Sub", "Mul", "Div", "SiLUMul"}

// Add is a + b. Shapes are aligned at the last axis; an axis that is missing
// or of length 1 is repeated (NumPy's broadcasting), in all binary operators.
func Add(a, b *Tensor) *Tensor { return combine(opAdd, a, b) }

// Sub is a − b.
func Sub(a, b *Tensor) *Tensor { return combine(opSub, a, b) }

// Mul is a·b, element by element.
func Mul(a, b *Tensor) *Tensor { return combine(opMul, a, b) }

// Div is a/b, element by element.
func Div(a, b *Tensor) *Tensor { return combine(opDiv, a, b) }

// SiLUMul is x·SiLU(z), element by element: x through the gate z.
func SiLUMul(x, z *Tensor) *Tensor { return combine(opSiLUMul, x, z) }

func (op arith) plain(a, b float64) float64 {
	switch op {
	case opAdd:
		return a + b
	case opSub:
		return a - b
	case opMul:
		return a * b
	case opSiLUMul:
		return a * opSiLU.plain(b)
	}
	return a / b
}

// row computes one row; a and b have one element where they are repeated along it.
func (op arith) row(dst, a, b []float32) {
	n := len(dst)
	switch {
	case len(a) == n && len(b) == n:
		switch op {
		case opAdd:
			vec.Add(dst, a, b)
		case opSub:
			vec.Sub(dst, a, b)
		case opMul:
			vec.Mul(dst, a, b)
		case opDiv:
			vec.Div(dst, a, b)
		case opSiLUMul:
			vec.SiLUMul(dst, a, b)
		}
	case op == opSiLUMul && len(a) == n:
		var gate [1]float32
		vec.SiLU(gate[:], b)
		vec.Scale(dst, a, gate[0])
	case op == opSiLUMul:
		vec.SiLU(dst, b)
		vec.Scale(dst, dst, a[0])
	case len(a) == n:
		switch op {
		case opAdd:
			vec.Offset(dst, a, b[0])
		case opSub:
			vec.Offset(dst, a, -b[0])
		case opMul:
			vec.Scale(dst, a, b[0])
		case opDiv:
			for i := range dst {
				dst[i] = a[i] / b[0]
			}
		}
	case len(b) == n && (op == opAdd || op == opMul):
		op.row(dst, b, a)
	default:
		for i := range dst {
			x, y := a[min(i, len(a)-1)], b[min(i, len(b)-1)]
			if op == opSub {
				dst[i] = x - y
			} else if op == opDiv {
				dst[i] = x / y
			} else if op == opAdd {
				dst[i] = x + y
			} else {
				dst[i] = x * y
			}
		}
	}
}

// pairing walks two operands in step with their result, row by row; an axis
// along which an operand is repeated has stride 0.
type pairing struct {
	rank   int
	shape  [MaxRank]int // of the result
	a, b   [MaxRank]int // strides
	ca, cb int          // length of an operand's row: cols, or 1 where it is repeated
	cols   int
	rows   int
}

func pair(op string, a, b *Tensor) (p pairing) {
	p.rank = max(a.rank, b.rank)
	p.rows, p.cols, p.ca, p.cb = 1, 1, 1, 1
	for i := range p.rank {
		da, sa := a.aligned(i, p.rank)
		db, sb := b.aligned(i, p.rank)
		if da != db && da != 1 && db != 1 {
			panic(&ShapeError{Op: op, Arg: "b", Got: append([]int(nil), b.Shape()...), Want: "a shape that goes with " + a.shapeString()})
		}
		d := da
		if da == 1 {
			d = db
		}
		if da != d || da == 1 {
			sa = 0
		}
		if db != d || db == 1 {
			sb = 0
		}
		p.shape[i], p.a[i], p.b[i] = d, sa, sb
		if i < p.rank-1 {
			p.rows *= d
		} else {
			p.cols, p.ca, p.cb = d, da, db
		}
	}
	return p
}

// long turns the walk over two contiguous tensors of one shape into one row.
func (p *pairing) long(a, b *Tensor) {
	if a.rank == b.rank && a.shape == b.shape && a.Contiguous() && b.Contiguous() {
		n := p.rows * p.cols
		*p = pairing{rank: 1, rows: 1, cols: n, ca: n, cb: n}
		p.shape[0] = n
	}
}

// aligned is the length and stride of axis i of a shape of the given rank of which t is the tail.
func (t *Tensor) aligned(i, rank int) (dim, stride int) {
	i -= rank - t.rank
	if i < 0 {
		return 1, 0
	}
	return t.shape[i], t.stride[i]
}

// each calls f with the positions of rows lo ≤ r < hi in a, b and the (contiguous) result.
func (p *pairing) each(lo, hi int, f func(oa, ob, oy int)) {
	if p.cols == 0 || lo >= hi {
		return
	}
	var idx [MaxRank]int
	oa, ob := 0, 0
	for i, r := p.rank-2, lo; i >= 0; i-- {
		idx[i] = r % p.shape[i]
		r /= p.shape[i]
		oa += idx[i] * p.a[i]
		ob += idx[i] * p.b[i]
	}
	for r := lo; r < hi; r++ {
		f(oa, ob, r*p.cols)
		for i := p.rank - 2; i >= 0; i-- {
			idx[i]++
			oa += p.a[i]
			ob += p.b[i]
			if idx[i] < p.shape[i] {
				break
			}
			oa -= idx[i] * p.a[i]
			ob -= idx[i] * p.b[i]
			idx[i] = 0
		}
	}
}

func combine(op arith, a, b *Tensor) *Tensor {
	p := pair(arithNames[op], a, b)
	y := Out(arithNames[op], p.shape[:p.rank], a, b)
	if y.IsFloat64() {
		va, vb := a.Values64(), b.Values64()
		i := 0
		eachIndex(&p, a, b, func(ia, ib int) {
			y.f64[i] = op.plain(va[ia], vb[ib])
			i++
		})
		return y
	}
	if tasks := hw.Tasks(y.scope.Workers(), p.rows, 0.2*float64(p.cols)); tasks > 1 {
		combineParallel(op, p, tasks, y, a, b)
	} else {
		p.long(a, b)
		p.combine(op, 0, p.rows, y, a, b)
	}
	if y.Recording() {
		OnBackward(func() { combineBackward(op, y, a, b) }, y)
	}
	return y
}

func combineParallel(op arith, p pairing, tasks int, y, a, b *Tensor) {
	hw.Parallel(y.scope.Workers(), tasks, func(i int) {
		lo, hi := hw.Range(i, tasks, p.rows)
		p.combine(op, lo, hi, y, a, b)
	})
}

func (p *pairing) combine(op arith, lo, hi int, y, a, b *Tensor) {
	p.each(lo, hi, func(oa, ob, oy int) {
		op.row(y.data[oy:oy+p.cols], a.data[oa:oa+p.ca], b.data[ob:ob+p.cb])
	})
}

// eachIndex calls f with the row-major indices of the elements of a and b that meet, in the result's order.
func eachIndex(p *pairing, a, b *Tensor, f func(ia, ib int)) {
	var sa, sb [MaxRank]int
	na, nb := 1, 1
	n := 1
	for i := p.rank - 1; i >= 0; i-- {
		da, _ := a.aligned(i, p.rank)
		db, _ := b.aligned(i, p.rank)
		if da > 1 {
			sa[i] = na
		}
		if db > 1 {
			sb[i] = nb
		}
		na, nb, n = na*da, nb*db, n*p.shape[i]
	}
	for o := range n {
		ia, ib := 0, 0
		for i, r := p.rank-1, o; i >= 0; i-- {
			k := r % p.shape[i]
			r /= p.shape[i]
			ia += k * sa[i]
			ib += k * sb[i]
		}
		f(ia, ib)
	}
}

// combineBackward adds dy·∂y/∂a to a's gradient and likewise b's; where an
// operand is repeated, its element gets the sum.
func combineBackward(op arith, y, a, b *Tensor) {
	dy := y.Grad().Data()
	p := pair(arithNames[op], a, b)
	p.long(a, b)
	da, db := a.Grad(), b.Grad()
	t := make([]float32, p.cols)
	add := func(g []float32, t []float32) { // g has one element where the operand is repeated along the row
		if len(g) == len(t) {
			vec.Add(g, g, t)
		} else {
			g[0] += vec.Sum(t)
		}
	}
	p.each(0, p.rows, func(oa, ob, oy int) {
		d := dy[oy : oy+p.cols]
		ra, rb := a.data[oa:oa+p.ca], b.data[ob:ob+p.cb]
		if da != nil {
			switch op {
			case opAdd, opSub:
				copy(t, d)
			case opMul:
				opMul.row(t, d, rb)
			case opDiv:
				opDiv.row(t, d, rb)
			case opSiLUMul:
				opSiLUMul.row(t, d, rb)
			}
			add(da.data[oa:oa+p.ca], t)
		}
		if db != nil {
			switch op {
			case opAdd:
				copy(t, d)
			case opSub:
				vec.Scale(t, d, -1)
			case opMul:
				opMul.row(t, d, ra)
			case opDiv: // −dy·y/b
				vec.Mul(t, d, y.data[oy:oy+p.cols])
				opDiv.row(t, t, rb)
				vec.Scale(t, t, -1)
			case opSiLUMul: // dy·a·SiLU′(b)
				if len(rb) < len(d) {
					rb = slices.Repeat(rb, len(d))
				}
				da := make([]float32, len(d))
				opMul.row(da, d, ra)
				clear(t)
				vec.SiLUGrad(t, da, rb)
			}
			add(db.data[ob:ob+p.cb], t)
		}
	})
}

// MulAdd is a·b + c, with b repeated as in Mul; a and c have the result's shape.
func MulAdd(a, b, c *Tensor) *Tensor {
	if a.rank != c.rank || a.shape != c.shape {
		return Add(Mul(a, b), c)
	}
	p := pair("MulAdd", a, b)
	y := Out("MulAdd", p.shape[:p.rank], a, b, c)
	if y.IsFloat64() || y.shape != a.shape || !c.Contiguous() {
		return Add(Mul(a, b), c)
	}
	if tasks := hw.Tasks(y.scope.Workers(), p.rows, 0.2*float64(p.cols)); tasks > 1 {
		mulAddParallel(p, tasks, y, a, b, c)
	} else {
		p.long(a, b)
		mulAdd(p, 0, p.rows, y, a, b, c)
	}
	if y.Recording() {
		OnBackward(func() {
			axpyTo(c.Grad(), 1, y.Grad())
			combineBackward(opMul, y, a, b)
		}, y)
	}
	return y
}

func mulAddParallel(p pairing, tasks int, y, a, b, c *Tensor) {
	hw.Parallel(y.scope.Workers(), tasks, func(i int) {
		lo, hi := hw.Range(i, tasks, p.rows)
		mulAdd(p, lo, hi, y, a, b, c)
	})
}

func mulAdd(p pairing, lo, hi int, y, a, b, c *Tensor) {
	p.each(lo, hi, func(oa, ob, oy int) {
		dst, from := y.data[oy:oy+p.cols], c.data[oy:oy+p.cols]
		if p.cb == p.cols {
			vec.FMA(dst, a.data[oa:oa+p.ca], b.data[ob:ob+p.cb], from)
		} else {
			vec.AxpyTo(dst, b.data[ob], a.data[oa:oa+p.ca], from)
		}
	})
}

// Lerp is x + w·(y − x), which is x where w is 0 and y where it is 1; y has x's
// shape, w is repeated as in Mul.
func Lerp(x, y, w *Tensor) *Tensor {
	const op = "Lerp"
	Check(op, "y", y, x.Shape()...)
	p := pair(op, x, w)
	s := ScopeOf(op, x, y, w)
	if s.Recording() || s.IsFloat64() || p.shape != x.shape || p.cb != p.cols || !y.Contiguous() {
		return MulAdd(Sub(y, x), w, x)
	}
	out := Out(op, x.Shape(), x, y, w)
	if tasks := hw.Tasks(s.Workers(), p.rows, 0.2*float64(p.cols)); tasks > 1 {
		lerpParallel(p, tasks, out, x, y, w)
	} else {
		p.long(x, w)
		lerp(p, 0, p.rows, out, x, y, w)
	}
	return out
}

func lerpParallel(p pairing, tasks int, out, x, y, w *Tensor) {
	hw.Parallel(out.scope.Workers(), tasks, func(i int) {
		lo, hi := hw.Range(i, tasks, p.rows)
		lerp(p, lo, hi, out, x, y, w)
	})
}

func lerp(p pairing, lo, hi int, out, x, y, w *Tensor) {
	p.each(lo, hi, func(ox, ow, oy int) {
		vec.Lerp(out.data[oy:oy+p.cols], x.data[ox:ox+p.cols], y.data[oy:oy+p.cols], w.data[ow:ow+p.cols])
	})
}

// SigmoidAdd is σ(x + b), b repeated as in Add.
func SigmoidAdd(x, b *Tensor) *Tensor {
	const op = "SigmoidAdd"
	p := pair(op, x, b)
	s := ScopeOf(op, x, b)
	if s.Recording() || s.IsFloat64() {
		return Sigmoid(Add(x, b))
	}
	y := Out(op, p.shape[:p.rank], x, b)
	if tasks := hw.Tasks(s.Workers(), p.rows, 0.7*float64(p.cols)); tasks > 1 {
		sigmoidAddParallel(p, tasks, y, x, b)
	} else {
		sigmoidAdd(p, 0, p.rows, y, x, b)
	}
	return y
}

func sigmoidAddParallel(p pairing, tasks int, y, x, b *Tensor) {
	hw.Parallel(y.scope.Workers(), tasks, func(i int) {
		lo, hi := hw.Range(i, tasks, p.rows)
		sigmoidAdd(p, lo, hi, y, x, b)
	})
}

func sigmoidAdd(p pairing, lo, hi int, y, x, b *Tensor) {
	p.each(lo, hi, func(ox, ob, oy int) {
		row := y.data[oy : oy+p.cols]
		opAdd.row(row, x.data[ox:ox+p.ca], b.data[ob:ob+p.cb])
		vec.Sigmoid(row, row)
	})
}
