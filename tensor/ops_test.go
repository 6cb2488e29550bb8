package tensor_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/subquad/subquad/internal/gradcheck"
	"github.com/subquad/subquad/internal/hwtest"
	"github.com/subquad/subquad/internal/race"
	"github.com/subquad/subquad/tensor"
)

type source struct{ *rand.Rand }

func newSource(seed uint64) source { return source{rand.New(rand.NewPCG(seed, 5))} }

func (r source) uniform(lo, hi float64, shape ...int) *tensor.Tensor {
	t := tensor.New(shape...)
	for i := range t.Data() {
		t.Data()[i] = float32(lo + (hi-lo)*r.Float64())
	}
	return t.Track()
}

var eachLevel = hwtest.Levels

// An opCase is an operator on leaves of given shapes with values from lo to hi.
type opCase struct {
	name   string
	lo, hi float64
	shapes [][]int
	f      func(x []*tensor.Tensor) *tensor.Tensor
}

func unary(name string, lo, hi float64, f func(*tensor.Tensor) *tensor.Tensor, shapes ...[]int) (cases []opCase) {
	for _, s := range shapes {
		cases = append(cases, opCase{fmt.Sprintf("%s %v", name, s), lo, hi, [][]int{s}, func(x []*tensor.Tensor) *tensor.Tensor { return f(x[0]) }})
	}
	return cases
}

func opCases() (cases []opCase) {
	shapes := [][]int{{}, {1}, {5}, {3, 17}, {2, 3, 33}, {0, 4}, {2, 0}}
	for _, o := range []struct {
		name   string
		lo, hi float64
		f      func(*tensor.Tensor) *tensor.Tensor
	}{
		{"Exp", -3, 3, tensor.Exp}, {"Log", 0.2, 5, tensor.Log}, {"Sigmoid", -6, 6, tensor.Sigmoid}, {"SiLU", -6, 6, tensor.SiLU},
		{"Softplus", -6, 6, tensor.Softplus}, {"Tanh", -3, 3, tensor.Tanh}, {"GELU", -4, 4, tensor.GELU}, {"GELUTanh", -4, 4, tensor.GELUTanh},
		{"ReLU", 0.1, 2, tensor.ReLU}, {"ReLU", -2, -0.1, tensor.ReLU}, {"ReLU2", -2, 2, tensor.ReLU2}, {"Square", -2, 2, tensor.Square}, {"Sqrt", 0.3, 4, tensor.Sqrt}, {"Neg", -2, 2, tensor.Neg}, {"Sin", -6, 6, tensor.Sin},
		{"Scale", -2, 2, func(x *tensor.Tensor) *tensor.Tensor { return tensor.Scale(x, -1.5) }},
		{"AddConst", -2, 2, func(x *tensor.Tensor) *tensor.Tensor { return tensor.AddConst(x, 0.25) }},
		{"SumAll", -2, 2, tensor.SumAll}, {"MeanAll", -2, 2, tensor.MeanAll}, {"Copy", -2, 2, tensor.Copy},
	} {
		cases = append(cases, unary(o.name, o.lo, o.hi, o.f, shapes...)...)
	}
	rows := [][]int{{1}, {7}, {3, 17}, {2, 3, 33}, {0, 4}}
	for _, o := range []struct {
		name string
		f    func(*tensor.Tensor) *tensor.Tensor
	}{
		{"Softmax", tensor.Softmax}, {"LogSoftmax", tensor.LogSoftmax},
		{"L2Norm", func(x *tensor.Tensor) *tensor.Tensor { return tensor.L2Norm(x, 1e-6) }},
		{"L2NormRsqrt", func(x *tensor.Tensor) *tensor.Tensor { return tensor.L2NormRsqrt(x, 0.5) }},
		{"Cumsum last", func(x *tensor.Tensor) *tensor.Tensor { return tensor.Cumsum(x, -1) }},
		{"Cumsum first", func(x *tensor.Tensor) *tensor.Tensor { return tensor.Cumsum(x, 0) }},
		{"Sum first", func(x *tensor.Tensor) *tensor.Tensor { return tensor.Sum(x, 0, false) }},
		{"Sum last", func(x *tensor.Tensor) *tensor.Tensor { return tensor.Sum(x, -1, true) }},
		{"Mean first", func(x *tensor.Tensor) *tensor.Tensor { return tensor.Mean(x, 0, true) }},
	} {
		cases = append(cases, unary(o.name, 0.2, 2, o.f, rows...)...)
		cases = append(cases, unary(o.name+" of both signs", -2, 2, o.f, rows[1:4]...)...)
	}
	cases = append(cases, unary("Transpose", -2, 2, func(x *tensor.Tensor) *tensor.Tensor { return tensor.Transpose(x, 0, -1) }, []int{3, 5}, []int{2, 3, 33})...)
	cases = append(cases, unary("Narrow and Reshape", -2, 2, func(x *tensor.Tensor) *tensor.Tensor {
		return tensor.Mul(x.Narrow(-1, 1, 4).Narrow(0, 1, 3), tensor.Contiguous(x.Narrow(0, 0, 2).Narrow(-1, 2, 5)).Reshape(2, 3))
	}, []int{3, 5})...)

	pairs := [][2][]int{{{3, 5}, {3, 5}}, {{2, 3, 33}, {33}}, {{33}, {2, 3, 33}}, {{2, 3, 5}, {2, 1, 5}}, {{2, 3, 5}, {3, 1}}, {{2, 1, 5}, {1, 4, 1}}, {{}, {3}}, {{0, 3}, {3}}, {{4, 1}, {1, 6}}}
	for _, o := range []struct {
		name string
		f    func(a, b *tensor.Tensor) *tensor.Tensor
	}{{"Add", tensor.Add}, {"Sub", tensor.Sub}, {"Mul", tensor.Mul}, {"Div", tensor.Div}, {"SiLUMul", tensor.SiLUMul}, {"SigmoidAdd", tensor.SigmoidAdd}} {
		for _, p := range pairs {
			cases = append(cases, opCase{fmt.Sprintf("%s %v %v", o.name, p[0], p[1]), 0.5, 2, p[:], func(x []*tensor.Tensor) *tensor.Tensor { return o.f(x[0], x[1]) }})
		}
	}
	cases = append(cases, opCase{"MulAdd", -1, 1, [][]int{{3, 17}, {3, 17}, {3, 17}}, func(x []*tensor.Tensor) *tensor.Tensor { return tensor.MulAdd(x[0], x[1], x[2]) }})
	cases = append(cases, opCase{"MulAdd of a row", -1, 1, [][]int{{2, 3, 17}, {17}, {2, 3, 17}}, func(x []*tensor.Tensor) *tensor.Tensor { return tensor.MulAdd(x[0], x[1], x[2]) }})
	cases = append(cases, opCase{"MulAdd of columns", -1, 1, [][]int{{2, 3, 17}, {3, 1}, {2, 3, 17}}, func(x []*tensor.Tensor) *tensor.Tensor { return tensor.MulAdd(x[0], x[1], x[2]) }})
	for _, w := range [][]int{{2, 3, 17}, {17}, {3, 1}} {
		cases = append(cases, opCase{fmt.Sprintf("Lerp %v", w), -1, 1, [][]int{{2, 3, 17}, {2, 3, 17}, w}, func(x []*tensor.Tensor) *tensor.Tensor { return tensor.Lerp(x[0], x[1], x[2]) }})
	}
	cases = append(cases, opCase{"Concat 0", -1, 1, [][]int{{2, 5}, {0, 5}, {3, 5}}, func(x []*tensor.Tensor) *tensor.Tensor { return tensor.Concat(0, x...) }})
	cases = append(cases, opCase{"Concat 1", -1, 1, [][]int{{2, 5, 3}, {2, 1, 3}}, func(x []*tensor.Tensor) *tensor.Tensor { return tensor.Concat(1, x...) }})
	cases = append(cases, opCase{"Concat -1", -1, 1, [][]int{{2, 5}, {2, 1}}, func(x []*tensor.Tensor) *tensor.Tensor { return tensor.Concat(-1, x...) }})
	for _, s := range [][2][]int{{{4, 5}, {5, 3}}, {{2, 3, 5}, {5, 7}}, {{2, 3, 5}, {2, 5, 4}}, {{5}, {5, 3}}, {{0, 5}, {5, 3}}, {{4, 0}, {0, 3}}, {{1, 40}, {40, 9}}} {
		cases = append(cases, opCase{fmt.Sprintf("MatMul %v %v", s[0], s[1]), -1, 1, s[:], func(x []*tensor.Tensor) *tensor.Tensor { return tensor.MatMul(x[0], x[1]) }})
		t := slices.Clone(s[1])
		n := len(t)
		t[n-1], t[n-2] = t[n-2], t[n-1]
		cases = append(cases, opCase{fmt.Sprintf("MatMulT %v %v", s[0], t), -1, 1, [][]int{s[0], t}, func(x []*tensor.Tensor) *tensor.Tensor { return tensor.MatMulT(x[0], x[1]) }})
	}
	for _, o := range []struct {
		name string
		n    int
		f    func(x []*tensor.Tensor) *tensor.Tensor
	}{
		{"RMSNorm", 2, func(x []*tensor.Tensor) *tensor.Tensor { return tensor.RMSNorm(x[0], x[1], 1e-5) }},
		{"RMSNorm bare", 1, func(x []*tensor.Tensor) *tensor.Tensor { return tensor.RMSNorm(x[0], nil, 1e-5) }},
		{"LayerNorm", 3, func(x []*tensor.Tensor) *tensor.Tensor { return tensor.LayerNorm(x[0], x[1], x[2], 1e-5) }},
		{"LayerNorm bare", 1, func(x []*tensor.Tensor) *tensor.Tensor { return tensor.LayerNorm(x[0], nil, nil, 1e-5) }},
		{"GroupNorm", 3, func(x []*tensor.Tensor) *tensor.Tensor { return tensor.GroupNorm(x[0], 3, x[1], x[2], 1e-5) }},
		{"GroupRMSNorm", 2, func(x []*tensor.Tensor) *tensor.Tensor { return tensor.GroupRMSNorm(x[0], 3, x[1], 1e-5) }},
	} {
		cases = append(cases, opCase{o.name, -2, 2, [][]int{{2, 3, 18}, {18}, {18}}[:o.n], o.f})
	}
	cases = append(cases, opCase{"CrossEntropy", -2, 2, [][]int{{2, 3, 7}}, func(x []*tensor.Tensor) *tensor.Tensor {
		return tensor.CrossEntropy(x[0], []int{0, 6, 3, -100, 2, 2})
	}})
	cases = append(cases, opCase{"Gather", -2, 2, [][]int{{5, 9}}, func(x []*tensor.Tensor) *tensor.Tensor {
		return tensor.Gather(x[0], []int{4, 0, 4, 2, 1, 1}, 2, 3)
	}})
	return cases
}

func (c opCase) leaves(seed uint64) []*tensor.Tensor {
	r := newSource(seed)
	var leaves []*tensor.Tensor
	for _, s := range c.shapes {
		leaves = append(leaves, r.uniform(c.lo, c.hi, s...))
	}
	return leaves
}

func (c opCase) in(leaves []*tensor.Tensor) gradcheck.Func {
	return func(s *tensor.Scope) *tensor.Tensor {
		x := make([]*tensor.Tensor, len(leaves))
		for i, l := range leaves {
			x[i] = tensor.Enter(s, l)
		}
		return c.f(x)
	}
}

// Every operator against its plain form in float64, and its gradients against differences of that.
func TestOperators(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, c := range opCases() {
			leaves := c.leaves(1)
			gradcheck.Forward(t, c.name, c.in(leaves), 2e-6)
			gradcheck.Check(t, c.name, leaves, c.in(leaves), 2e-5)
		}
	})
}

// The same bits for any number of workers, and nothing allocated in a scope that is warm.
func TestWorkersAndAllocations(t *testing.T) {
	for _, c := range opCases() {
		for i, s := range c.shapes { // long enough to be shared
			if len(s) == 2 && s[0] > 1 && !strings.Contains(c.name, "MatMul") && !strings.Contains(c.name, "Gather") && !strings.Contains(c.name, "Narrow") {
				c.shapes[i] = []int{s[0] * 400, s[1]}
			}
		}
		if strings.HasPrefix(c.name, "Concat") {
			continue // joins a list, which the caller makes
		}
		ok := func() (ok bool) { // broadcasts may not fit any more
			defer func() { ok = recover() == nil }()
			c.in(c.leaves(2))(tensor.NewScope())
			return
		}()
		if !ok {
			continue
		}
		leaves := c.leaves(2)
		var want []float32
		for _, n := range []int{1, 2, 7} {
			got := c.in(leaves)(tensor.NewScope(tensor.Workers(n))).Float32s()
			if want == nil {
				want = got
			}
			for i := range got {
				if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
					t.Fatalf("%s: element %d depends on the workers", c.name, i)
				}
			}
		}
		s := tensor.NewScope(tensor.Workers(1))
		x := make([]*tensor.Tensor, len(leaves))
		step := func() {
			s.Reset()
			for i, l := range leaves {
				x[i] = s.From(l.Data(), l.Shape()...)
			}
			c.f(x)
		}
		step()
		if strings.HasPrefix(c.name, "CrossEntropy") || strings.HasPrefix(c.name, "Gather") || race.Enabled {
			continue // the test's own list of targets
		}
		if n := testing.AllocsPerRun(10, step); n != 0 {
			t.Errorf("%s allocates %v times", c.name, n)
		}
	}
}

// shapeError runs f, which must panic with a *tensor.ShapeError that names op and what was wanted.
func shapeError(t *testing.T, name, want string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		e, ok := recover().(*tensor.ShapeError)
		if !ok {
			t.Errorf("%s: no *tensor.ShapeError", name)
		} else if !strings.Contains(e.Error(), want) {
			t.Errorf("%s: %q does not say %q", name, e.Error(), want)
		}
	}()
	f()
}

func TestMisuse(t *testing.T) {
	a, b := tensor.New(2, 3), tensor.New(4, 5)
	s, other := tensor.NewScope(), tensor.NewScope()
	reset := tensor.NewScope()
	old := reset.New(2, 3)
	reset.Reset()
	for _, c := range []struct {
		name, want string
		f          func()
	}{
		{"Add", "Add", func() { tensor.Add(a, b) }},
		{"MulAdd", "MulAdd", func() { tensor.MulAdd(a, b, a) }},
		{"MatMul", "an inner axis of 3", func() { tensor.MatMul(a, b) }},
		{"MatMulT", "an inner axis of 3", func() { tensor.MatMulT(a, b) }},
		{"MatMul of a vector", "two axes", func() { tensor.MatMul(a, tensor.New(3)) }},
		{"MatMul of batches", "the leading axes", func() { tensor.MatMul(tensor.New(2, 3, 4), tensor.New(3, 4, 5)) }},
		{"Concat", "Concat", func() { tensor.Concat(0, a, b) }},
		{"Sum", "an axis of", func() { tensor.Sum(a, 2, false) }},
		{"Narrow", "a range within", func() { a.Narrow(1, 2, 4) }},
		{"Reshape", "Reshape", func() { a.Reshape(5) }},
		{"Transpose", "an axis of", func() { tensor.Transpose(a, 0, 5) }},
		{"RMSNorm", "RMSNorm", func() { tensor.RMSNorm(a, tensor.New(4), 1e-5) }},
		{"GroupNorm", "GroupNorm", func() { tensor.GroupNorm(a, 2, nil, nil, 1e-5) }},
		{"CrossEntropy", "CrossEntropy", func() { tensor.CrossEntropy(a, []int{0}) }},
		{"CrossEntropy target", "CrossEntropy", func() { tensor.CrossEntropy(a, []int{0, 3}) }},
		{"Gather", "0 to 1", func() { tensor.Gather(a, []int{2}, 1) }},
		{"Gather lead", "axes for 1 ids", func() { tensor.Gather(a, []int{1}, 2) }},
		{"negative axis", "axes ≥ 0", func() { tensor.New(2, -1) }},
		{"enormous", "fits in memory", func() { tensor.New(math.MaxInt/2, math.MaxInt/2) }},
		{"too many axes", "at most", func() { tensor.New(1, 1, 1, 1, 1, 1, 1) }},
		{"From", "6 values", func() { tensor.From(make([]float32, 5), 2, 3) }},
		{"FromBits", "6 values", func() { tensor.FromBits(tensor.BF16, make([]uint16, 5), 2, 3) }},
		{"Data of a view", "contiguous", func() { a.Narrow(1, 0, 2).Data() }},
		{"At", "an index", func() { a.At(2, 0) }},
		{"two scopes", "one scope", func() { tensor.Add(s.New(2, 3), other.New(2, 3)) }},
		{"after Reset", "before Reset", func() { tensor.Neg(old) }},
		{"Backward of many", "", func() {
			r := tensor.NewScope(tensor.Record())
			r.Backward(tensor.Neg(tensor.Enter(r, tensor.New(2).Track())))
		}},
		{"Check", "[2 -1]", func() { tensor.Check("op", "x", b, 2, -1) }},
		{"Check of nothing", "op", func() { tensor.Check("op", "x", nil, 2) }},
	} {
		shapeError(t, c.name, c.want, c.f)
	}
}

// Softmax and its like at the ends of float32.
func TestExtremes(t *testing.T) {
	inf := float32(math.Inf(1))
	eachLevel(t, func(t *testing.T) {
		for _, c := range []struct {
			name string
			got  *tensor.Tensor
			want []float64
		}{
			{"Softmax of large", tensor.Softmax(tensor.From([]float32{1e30, 1e30, -1e30}, 3)), []float64{0.5, 0.5, 0}},
			{"Softmax with −Inf", tensor.Softmax(tensor.From([]float32{3, -inf}, 2)), []float64{1, 0}},
			{"LogSoftmax of large", tensor.LogSoftmax(tensor.From([]float32{1000, 0}, 2)), []float64{0, -1000}},
			{"CrossEntropy of large", tensor.CrossEntropy(tensor.From([]float32{1e4, 0}, 1, 2), []int{1}), []float64{1e4}},
			{"Softplus", tensor.Softplus(tensor.From([]float32{-200, -30, 0, 200}, 4)), []float64{0, 9.357622968839299e-14, math.Ln2, 200}},
			{"Sigmoid", tensor.Sigmoid(tensor.From([]float32{-inf, -200, 200, inf}, 4)), []float64{0, 0, 1, 1}},
			{"SiLU", tensor.SiLU(tensor.From([]float32{-200, 200}, 2)), []float64{0, 200}},
			{"Tanh", tensor.Tanh(tensor.From([]float32{-inf, 1e-20, 50}, 3)), []float64{-1, 1e-20, 1}},
			{"RMSNorm of zeros", tensor.RMSNorm(tensor.New(3), nil, 1e-5), []float64{0, 0, 0}},
			{"RMSNorm of large", tensor.RMSNorm(tensor.From([]float32{1e18, -1e18}, 2), nil, 1e-5), []float64{1, -1}},
			{"L2Norm of zeros", tensor.L2Norm(tensor.New(3), 1e-6), []float64{0, 0, 0}},
		} {
			for i, g := range c.got.Float64s() {
				if !(math.Abs(g-c.want[i]) <= 2e-6*math.Max(math.Abs(c.want[i]), 1e-30)) && !(c.want[i] == 0 && math.Abs(g) < 1e-30) {
					t.Errorf("%s: element %d is %v, want %v", c.name, i, g, c.want[i])
				}
			}
		}
		for name, f := range map[string]func(*tensor.Tensor) *tensor.Tensor{"Exp": tensor.Exp, "Sigmoid": tensor.Sigmoid, "SiLU": tensor.SiLU, "Softplus": tensor.Softplus,
			"Tanh": tensor.Tanh, "GELU": tensor.GELU, "Softmax": tensor.Softmax} {
			if v := f(tensor.From([]float32{float32(math.NaN()), 1}, 2)).At(0); v == v {
				t.Errorf("%s of NaN is %v", name, v)
			}
		}
	})
}

func TestConversions(t *testing.T) {
	for _, d := range []tensor.DType{tensor.BF16, tensor.F16} {
		bits := make([]uint16, 1<<16)
		for i := range bits {
			bits[i] = uint16(i)
		}
		x := tensor.FromBits(d, bits, 1<<16)
		again := tensor.As(d, tensor.As(tensor.F32, x)).Bits()
		for i, v := range x.Float64s() {
			if v == v && again[i] != bits[i] {
				t.Fatalf("%v %#x, which is %v, became %#x", d, bits[i], v, again[i])
			}
			if v != v {
				if w := tensor.FromBits(d, again[i:i+1], 1).At(0); w == w {
					t.Fatalf("%v %#x is NaN, became %v", d, bits[i], w)
				}
			}
		}
	}
	// Ties go to even.
	for _, c := range []struct {
		d    tensor.DType
		x    float32
		want float64
	}{{tensor.BF16, 1 + 1.0/256, 1}, {tensor.BF16, 1 + 3.0/256, 1 + 4.0/256}, {tensor.F16, 1 + 1.0/2048, 1}, {tensor.F16, 1 + 3.0/2048, 1 + 4.0/2048}, {tensor.F16, 65520, math.Inf(1)}, {tensor.F16, 6e-8, 1.0 / (1 << 24)}} {
		if got := tensor.As(c.d, tensor.From([]float32{c.x}, 1)).At(0); got != c.want {
			t.Errorf("%v of %v is %v, want %v", c.d, c.x, got, c.want)
		}
	}
	m := mat.NewDense(2, 3, []float64{1, 2, 3, 4, 5, 6})
	if !mat.Equal(tensor.ToDense(tensor.FromDense(m)), m) || tensor.FromDense(m.T()).At(2, 1) != 6 {
		t.Error("gonum's matrices do not come back as they were")
	}
}

// Views share memory; copies do not.
func TestViews(t *testing.T) {
	x := tensor.From([]float32{1, 2, 3, 4, 5, 6}, 2, 3)
	x.Narrow(1, 1, 3).Narrow(0, 1, 2).SetFrom(tensor.From([]float32{50, 60}, 1, 2))
	x.Reshape(3, 2).Narrow(0, 0, 1).SetFrom(tensor.From([]float32{10, 20}, 1, 2))
	x.Select(0, 0).Narrow(0, 2, 3).SetFrom(tensor.From([]float32{30}, 1))
	if want := []float32{10, 20, 30, 4, 50, 60}; !slices.Equal(x.Data(), want) {
		t.Errorf("after writing through views: %v, want %v", x.Data(), want)
	}
	c := x.Clone()
	c.Data()[0] = -1
	if x.Data()[0] != 10 {
		t.Error("a clone shares memory")
	}
	if got := x.Narrow(1, 1, 2).Float32s(); !slices.Equal(got, []float32{20, 50}) {
		t.Errorf("a view with gaps is %v", got)
	}
}

// Gradients add up over calls and through views; frozen weights get none.
func TestRecording(t *testing.T) {
	w, frozen := tensor.From([]float32{2, 3}, 2).Track(), tensor.From([]float32{5, 7}, 2)
	s := tensor.NewScope(tensor.Record())
	for range 2 {
		s.Reset()
		x := tensor.Mul(tensor.Enter(s, w), tensor.Enter(s, frozen))
		s.Backward(tensor.SumAll(tensor.Add(x, x.Narrow(0, 0, 1))))
	}
	// d/dw of Σ (w f + w₀ f₀) = [2·5 … broadcast: first element twice plus once], twice over.
	if got := w.Grad().Float32s(); !slices.Equal(got, []float32{2 * (5 + 2*5), 2 * 7}) {
		t.Errorf("gradient %v", got)
	}
	if frozen.NeedsGrad() || frozen.HasGrad() {
		t.Error("a weight that is not tracked has a gradient")
	}
	w.ZeroGrad()
	if w.HasGrad() && slices.Max(w.Grad().Data()) != 0 {
		t.Error("ZeroGrad left a gradient")
	}
	if tensor.Neg(tensor.Enter(tensor.NewScope(), w)).Recording() {
		t.Error("a scope that does not record records")
	}
}

// Rows of two operands, enough of them for several workers: the same bits.
func TestRowsShared(t *testing.T) {
	value := func(shape ...int) *tensor.Tensor {
		x := tensor.New(shape...)
		for i := range x.Data() {
			x.Data()[i] = float32(math.Sin(float64(i)))
		}
		return x
	}
	a, row := value(4000, 129), value(129)
	for name, f := range map[string]func(x *tensor.Tensor) *tensor.Tensor{
		"Add":        func(x *tensor.Tensor) *tensor.Tensor { return tensor.Add(x, row) },
		"SigmoidAdd": func(x *tensor.Tensor) *tensor.Tensor { return tensor.SigmoidAdd(x, row) },
		"Lerp":       func(x *tensor.Tensor) *tensor.Tensor { return tensor.Lerp(x, tensor.Neg(x), row) },
		"MulAdd":     func(x *tensor.Tensor) *tensor.Tensor { return tensor.MulAdd(x, row, x) },
	} {
		var want []float32
		for _, workers := range []int{1, 7} {
			s := tensor.NewScope(tensor.Workers(workers))
			got := f(s.From(a.Data(), 4000, 129)).Float32s()
			if want == nil {
				want = got
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s depends on the workers", name)
			}
		}
	}
}
