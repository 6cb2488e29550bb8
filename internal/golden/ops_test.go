package golden

import (
	"math"

	"github.com/subquad/subquad/fft"
	"github.com/subquad/subquad/linattn"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

type (
	tensors = []*tensor.Tensor
	pick    = func(*leaf) *tensor.Tensor
	binder  func(c *refCase) *operation
)

// operators binds the op of a case to this module. What is not in it, in
// layers or in models is missing (see missing).
var operators = map[string]binder{
	"linear_attn_unnormalized": matrix("bthd", scaled),
	"retention":                matrix("bhtd", scaled, retention),
	"simple_gla":               matrix("bthd", scaled, logDecay("g", "bth")),
	"lightning_attn":           matrix("bthd", scaled, lightning),
	"gla":                      matrix("bthd", scaled, logDecay("gk", "bthd")),
	"hgrn2":                    matrix("bthd", scaled, logDecay("g", "bthd"), keyFromForget),
	"delta_rule":               matrix("bhtd", scaled, delta("")),
	"gated_delta_rule":         matrix("bthd", scaled, delta("g")),
	"kda":                      matrix("bthd", scaled, delta("g")),
	"dplr_delta_rule":          matrix("bhtd", scaled, dplr),
	"wkv5":                     matrix("bhtd", receptance),
	"wkv5_2":                   matrix("bhtd", receptance),
	"wkv6":                     matrix("bhtd", receptance),

	"wkv4":                                wkv4,
	"wkv7":                                wkv7,
	"hgrn":                                hgrn,
	"selective_scan":                      selectiveScan,
	"linear_attn_elu_plus_one_normalized": eluPlusOne,
	"based_taylor2_normalized":            basedTaylor,
	"taylor_feature_map":                  taylorMap,
	"softmax_attention":                   softmaxAttention,
	"rope":                                rope,
	"causal_conv1d":                       causalConv1d,
	"causal_long_conv":                    longConv,
	"ssd_minimal_discrete":                ssdMinimal,
	"ssd_chunk_scan_combined":             ssdCombined,
}

// stateGradsOf names the initial states that have a gradient, by op.
var stateGradsOf = map[string][]stateGrad{}

func init() {
	for _, op := range []string{"linear_attn_unnormalized", "simple_gla", "lightning_attn", "gla", "hgrn2", "delta_rule", "gated_delta_rule", "kda", "dplr_delta_rule", "wkv5", "wkv5_2", "wkv6"} {
		stateGradsOf[op] = []stateGrad{{0, "initial_state", "bhkv", "bhkv"}}
	}
	stateGradsOf["hgrn"] = []stateGrad{{0, "initial_state", "bc", "bc"}}
	stateGradsOf["causal_conv1d"] = []stateGrad{{0, "initial_state", "bcw", "bwc"}}
	stateGradsOf["ssd_minimal_discrete"] = []stateGrad{{0, "initial_state", "bhpn", "bhnp"}}
	stateGradsOf["wkv4"] = []stateGrad{{0, "num_state", "bc", "bc"}, {1, "den_state", "bc", "bc"}}
}

func partValues(part int, from, to string) func(*tensor.State) []float64 {
	return func(st *tensor.State) []float64 {
		v := st.Parts[part].Value
		out, _ := permute(v.Float64s(), v.Shape(), from, to)
		return out
	}
}

// matrix binds an operator of the matrix-state recurrence. Each setup adds to
// the engine's input what its variant has.
func matrix(layout string, setups ...func(o *operation, in *matrixCase)) binder {
	return func(c *refCase) *operation {
		o := &operation{c: c}
		m := &matrixCase{layout: layout}
		for _, f := range setups {
			f(o, m)
		}
		K, V, H := m.q.t.Dim(-1), m.v.t.Dim(-1), m.v.t.Dim(2)
		o.newState = func() *tensor.State {
			st := tensor.NewState(c.Op, m.v.t.Dim(0)).Add("s", tensor.New(m.v.t.Dim(0), H, K, V))
			o.start(st, 0, "initial_state", "bhkv", "bhkv")
			return st
		}
		o.forward = func(s *tensor.Scope, at pick, st *tensor.State) tensors {
			in := scan.MatrixInput{Q: at(m.q), V: at(m.v), Scale: m.scale}
			if m.k != nil {
				in.K = at(m.k)
			}
			for _, f := range m.fill {
				f(s, at, &in)
			}
			return tensors{scan.Matrix(in, st.Part(0))}
		}
		o.outs = []output{{"out.o", layout}}
		o.states = []stateCheck{{"state.final", partValues(0, "bhkv", "bhkv")}}
		return o
	}
}

type matrixCase struct {
	layout  string
	q, k, v *leaf
	scale   float32
	fill    []func(s *tensor.Scope, at pick, in *scan.MatrixInput)
}

// scaled has inputs q, k, v and the scale K^−½.
func scaled(o *operation, m *matrixCase) {
	m.q, m.v = o.seq("q", m.layout), o.seq("v", m.layout)
	if o.c.has("in.k") {
		m.k = o.seq("k", m.layout)
	}
	m.scale = float32(1 / math.Sqrt(float64(m.q.t.Dim(-1))))
}

// receptance has RWKV's inputs: r, k, v, a bonus u and a decay that may depend on time.
func receptance(o *operation, m *matrixCase) {
	m.q, m.k, m.v = o.seq("r", m.layout), o.seq("k", m.layout), o.seq("v", m.layout)
	u := o.fixed("u", "hk")
	B, H, K := m.q.t.Dim(0), m.q.t.Dim(2), m.q.t.Dim(3)
	var w *leaf
	switch len(o.c.shape("in.w")) {
	case 1:
		w = o.fixed("w", "h")
	case 2:
		w = o.fixed("w", "hk")
	default:
		w = o.seq("w", m.layout)
	}
	m.fill = append(m.fill, func(s *tensor.Scope, at pick, in *scan.MatrixInput) {
		d := at(w)
		if !w.time { // constant in time: repeat it
			T := in.Q.Dim(1)
			d = tensor.Add(s.New(B, T, H, K), d.Reshape(1, 1, H, d.Len()/H))
		}
		in.LogDecay, in.Bonus = d, at(u)
	})
}

func logDecay(name, layout string) func(o *operation, m *matrixCase) {
	return func(o *operation, m *matrixCase) {
		g := o.seq(name, layout)
		m.fill = append(m.fill, func(_ *tensor.Scope, at pick, in *scan.MatrixInput) { in.LogDecay = at(g) })
	}
}

// constantDecay is a log decay per head, the same at every step.
func constantDecay(m *matrixCase, f func(h, heads int) float64) {
	m.fill = append(m.fill, func(s *tensor.Scope, at pick, in *scan.MatrixInput) {
		B, T, H := in.V.Dim(0), in.V.Dim(1), in.V.Dim(2)
		d := make([]float32, B*T*H)
		for i := range d {
			d[i] = float32(f(i%H, H))
		}
		in.LogDecay = s.From(d, B, T, H)
	})
}

func retention(o *operation, m *matrixCase) {
	constantDecay(m, func(h, _ int) float64 { return math.Log1p(-math.Exp2(float64(-5 - h))) })
}

// lightning: fla/ops/lightning_attn/chunk.py: slopes −(8/H)(1 − layer/layers)·h, head 0 without decay.
func lightning(o *operation, m *matrixCase) {
	layer, layers := o.c.number("layer_idx", 0), o.c.number("num_layers", 1)
	constantDecay(m, func(h, H int) float64 { return -(8 / float64(H) * (1 - layer/layers)) * float64(h) })
}

// keyFromForget: HGRN2 has k = 1 − forget gate.
func keyFromForget(_ *operation, m *matrixCase) {
	m.fill = append(m.fill, func(_ *tensor.Scope, at pick, in *scan.MatrixInput) {
		in.K = tensor.AddConst(tensor.Neg(tensor.Exp(in.LogDecay)), 1)
	})
}

// delta: S ← e^g S, then S ← S + β k (v − Sᵀk)ᵀ, which in the engine's form,
// where a reads the state before the decay, is a = −e^g ⊙ k, b = β k, key β k.
func delta(gate string) func(o *operation, m *matrixCase) {
	return func(o *operation, m *matrixCase) {
		bthd := map[string]string{"bhtd": "bht", "bthd": "bth"}[m.layout]
		beta := o.seq("beta", bthd)
		var g *leaf
		if gate != "" {
			if len(o.c.shape("in."+gate)) == 3 {
				g = o.seq(gate, bthd)
			} else {
				g = o.seq(gate, m.layout)
			}
		}
		m.fill = append(m.fill, func(s *tensor.Scope, at pick, in *scan.MatrixInput) {
			k := in.K
			H := in.V.Dim(2)
			if r := H / k.Dim(2); r > 1 { // each key head serves r value heads
				B, T, K := k.Dim(0), k.Dim(1), k.Dim(3)
				repeat := func(x *tensor.Tensor) *tensor.Tensor {
					x = tensor.Contiguous(x).Reshape(B, T, x.Dim(2), 1, K)
					return tensor.Add(s.New(B, T, x.Dim(2), r, K), x).Reshape(B, T, H, K)
				}
				k, in.Q = repeat(k), repeat(in.Q)
			}
			b := at(beta)
			b = tensor.Contiguous(b).Reshape(b.Dim(0), b.Dim(1), H, 1)
			in.A = tensor.Neg(k)
			if g != nil {
				in.LogDecay = at(g)
				e := tensor.Exp(tensor.Contiguous(at(g)))
				if e.Rank() == 3 {
					e = e.Reshape(e.Dim(0), e.Dim(1), H, 1)
				}
				in.A = tensor.Mul(in.A, e)
			}
			in.B = tensor.Mul(k, b)
			in.K = in.B
		})
	}
}

func dplr(o *operation, m *matrixCase) {
	alpha, beta, gk := o.seq("alpha", m.layout), o.seq("beta", m.layout), o.seq("gk", m.layout)
	m.fill = append(m.fill, func(_ *tensor.Scope, at pick, in *scan.MatrixInput) {
		in.A, in.B, in.LogDecay = at(alpha), at(beta), at(gk)
	})
}

func wkv7(c *refCase) *operation {
	o := &operation{c: c}
	H, N := int(c.number("heads", 1)), int(c.number("head_size", 0))
	l := map[string]*leaf{}
	for _, n := range []string{"r", "w", "k", "v", "a", "b"} {
		l[n] = o.seq(n, "btc")
	}
	B := l["r"].t.Dim(0)
	o.newState = func() *tensor.State {
		return tensor.NewState("wkv7", B).Add("s", tensor.New(B, H, N, N))
	}
	o.forward = func(_ *tensor.Scope, at pick, st *tensor.State) tensors {
		h := func(n string) *tensor.Tensor { x := at(l[n]); return x.Reshape(B, x.Dim(1), H, N) }
		y := scan.Matrix(scan.MatrixInput{
			Q: h("r"), K: h("k"), V: h("v"), A: h("a"), B: h("b"),
			LogDecay: tensor.Neg(tensor.Exp(h("w"))),
		}, st.Part(0))
		return tensors{y.Reshape(B, y.Dim(1), H*N)}
	}
	o.outs = []output{{"out.o", "btc"}}
	return o
}

func wkv4(c *refCase) *operation {
	o := &operation{c: c}
	decay, first := o.fixed("time_decay", "c"), o.fixed("time_first", "c")
	k, v := o.seq("k", "btc"), o.seq("v", "btc")
	B, C := k.t.Dim(0), k.t.Dim(2)
	o.newState = func() *tensor.State {
		st := tensor.NewState("wkv4", B).Add("num", tensor.New(B, C)).Add("den", tensor.New(B, C)).Add("max", nn.Full(-1e38, B, C))
		o.start(st, 0, "num_state", "bc", "bc")
		o.start(st, 1, "den_state", "bc", "bc")
		o.start(st, 2, "max_state", "bc", "bc")
		return st
	}
	o.forward = func(_ *tensor.Scope, at pick, st *tensor.State) tensors {
		w := tensor.Neg(tensor.Exp(at(decay)))
		return tensors{scan.WKV4(w, at(first), at(k), at(v), st.Part(0), st.Part(1), st.Part(2))}
	}
	o.outs = []output{{"out.o", "btc"}}
	o.states = []stateCheck{{"state.num", partValues(0, "bc", "bc")}, {"state.den", partValues(1, "bc", "bc")}, {"state.max", partValues(2, "bc", "bc")}}
	return o
}

// hgrn: h ← e^g h + x, the output is h (fla/ops/hgrn/naive.py).
func hgrn(c *refCase) *operation {
	o := &operation{c: c}
	x, g := o.seq("x", "btc"), o.seq("g", "btc")
	o.newState = func() *tensor.State {
		st := tensor.NewState("hgrn", x.t.Dim(0)).Add("h", tensor.New(x.t.Dim(0), x.t.Dim(2)))
		o.start(st, 0, "initial_state", "bc", "bc")
		return st
	}
	o.forward = func(_ *tensor.Scope, at pick, st *tensor.State) tensors {
		return tensors{scan.Diagonal(tensor.Exp(at(g)), at(x), st.Part(0))}
	}
	o.outs = []output{{"out.o", "btc"}}
	o.states = []stateCheck{{"state.final", partValues(0, "bc", "bc")}}
	return o
}

func selectiveScan(c *refCase) *operation {
	o := &operation{c: c}
	u, delta := o.seq("u", "bet"), o.seq("delta", "bet")
	A := o.fixed("A", "en")
	groups := "bnt"
	if len(c.shape("in.B")) == 4 {
		groups = "bgnt"
	}
	Bm, Cm := o.seq("B", groups), o.seq("C", groups)
	D, bias := o.optional("D", "e"), o.optional("delta_bias", "e")
	var z *leaf
	if c.has("in.z") {
		z = o.seq("z", "bet")
	}
	softplus, _ := c.Hyper["delta_softplus"].(bool)
	B, E, N := u.t.Dim(0), A.t.Dim(0), A.t.Dim(1)
	o.newState = func() *tensor.State { return tensor.NewState("selective", B).Add("h", tensor.New(B, N, E)) }
	o.forward = func(_ *tensor.Scope, at pick, st *tensor.State) tensors {
		dt := at(delta)
		if bias != nil {
			dt = tensor.Add(dt, at(bias))
		}
		if softplus {
			dt = tensor.Softplus(dt)
		}
		y := scan.Selective(at(u), dt, at(A), at(Bm), at(Cm), at(D), st.Part(0))
		if z != nil {
			y = tensor.Mul(y, tensor.SiLU(at(z)))
		}
		return tensors{y}
	}
	o.outs = []output{{"out.y", "bet"}}
	o.states = []stateCheck{{"state.final", partValues(0, "bne", "ben")}}
	return o
}

// eluPlusOne: φ = elu + 1 on q and k, a normaliser with eps 1e-10 (fla/ops/linear_attn/naive.py).
func eluPlusOne(c *refCase) *operation {
	o := &operation{c: c}
	q, k, v := o.seq("q", "bthd"), o.seq("k", "bthd"), o.seq("v", "bthd")
	B, H, K, V := q.t.Dim(0), q.t.Dim(2), q.t.Dim(3), v.t.Dim(3)
	scale := float32(1 / math.Sqrt(float64(K)))
	o.newState = func() *tensor.State {
		st := tensor.NewState("elu", B).Add("kv", tensor.New(B, H, K, V+1))
		if c.has("in.kv_state") {
			val := st.Parts[0].Value
			kv := c.float64s("in.kv_state")
			z, _ := permute(c.float64s("in.z_state"), c.shape("in.z_state"), "bthk", "bthk")
			for i := range B * H * K {
				for j := range V {
					val.Data()[i*(V+1)+j] = float32(kv[i*V+j])
				}
				val.Data()[i*(V+1)+V] = float32(z[i])
			}
		}
		return st
	}
	phi := func(x *tensor.Tensor) *tensor.Tensor { // elu(x)+1 = relu(x) + exp(−relu(−x))
		return tensor.Add(tensor.ReLU(x), tensor.Exp(tensor.Neg(tensor.ReLU(tensor.Neg(x)))))
	}
	o.forward = func(_ *tensor.Scope, at pick, st *tensor.State) tensors {
		qq := tensor.Scale(phi(at(q)), scale)
		return tensors{linattn.Normalized(qq, phi(at(k)), at(v), 1e-10, st.Part(0))}
	}
	o.outs = []output{{"out.o", "bthd"}}
	pickCols := func(lo, hi int) func(*tensor.State) []float64 {
		return func(st *tensor.State) []float64 { return st.Parts[0].Value.Narrow(-1, lo, hi).Clone().Float64s() }
	}
	o.states = []stateCheck{{"state.kv", pickCols(0, V)}, {"state.z", func(st *tensor.State) []float64 {
		var z []float64
		all := st.Parts[0].Value.Float64s()
		for i := V; i < len(all); i += V + 1 {
			z = append(z, all[i])
		}
		return z
	}}}
	return o
}

func basedTaylor(c *refCase) *operation {
	o := &operation{c: c}
	q, k, v := o.seq("q", "bhtd"), o.seq("k", "bhtd"), o.seq("v", "bhtd")
	B, H, K, V := q.t.Dim(0), q.t.Dim(2), q.t.Dim(3), v.t.Dim(3)
	o.newState = func() *tensor.State {
		return tensor.NewState("based", B).Add("kv", tensor.New(B, H, linattn.TaylorDim(K, true), V+1))
	}
	o.forward = func(_ *tensor.Scope, at pick, st *tensor.State) tensors {
		y := linattn.Normalized(linattn.Taylor(at(q), true), linattn.Taylor(at(k), true), at(v), float32(c.number("eps", 0)), st.Part(0))
		return tensors{y}
	}
	o.outs = []output{{"out.o", "bhtd"}}
	return o
}

func taylorMap(c *refCase) *operation {
	o := &operation{c: c}
	x := o.seq("x", "bhtd")
	o.forward = func(_ *tensor.Scope, at pick, _ *tensor.State) tensors {
		return tensors{linattn.Taylor(at(x), false)}
	}
	o.outs = []output{{"out.phi", "bhtd"}}
	return o
}

func softmaxAttention(c *refCase) *operation {
	o := &operation{c: c}
	q, k, v := o.seq("q", "bthd"), o.seq("k", "bthd"), o.seq("v", "bthd")
	window := int(c.number("window", 0))
	o.newState = func() *tensor.State {
		slots := window
		if slots == 0 {
			slots = 4
		}
		B, G := k.t.Dim(0), k.t.Dim(2)
		return tensor.NewState("softmax", B).Add("k", tensor.New(B, slots, G, k.t.Dim(3))).Add("v", tensor.New(B, slots, G, v.t.Dim(3)))
	}
	o.forward = func(_ *tensor.Scope, at pick, st *tensor.State) tensors {
		y := linattn.Softmax(at(q), at(k), at(v), linattn.SoftmaxOptions{Window: window}, st)
		st.Advance(y.Dim(1))
		return tensors{y}
	}
	o.outs = []output{{"out.o", "bthd"}}
	return o
}

func rope(c *refCase) *operation {
	o := &operation{c: c}
	q, k := o.seq("q", "bhtd"), o.seq("k", "bhtd")
	o.newState = func() *tensor.State {
		st := tensor.NewState("rope", q.t.Dim(0))
		for i := range st.Pos {
			st.Pos[i] = int64(c.number("first_position", 0))
		}
		return st
	}
	o.forward = func(_ *tensor.Scope, at pick, st *tensor.State) tensors {
		theta := c.number("theta", 10000)
		a, b := nn.RoPE(at(q), st.Pos, theta, false), nn.RoPE(at(k), st.Pos, theta, false)
		st.Advance(a.Dim(1))
		return tensors{tensor.Concat(2, a, b), a, b}
	}
	o.outs = []output{{"out.qk", "bhtd"}, {"out.q", "bhtd"}, {"out.k", "bhtd"}}
	return o
}

func causalConv1d(c *refCase) *operation {
	o := &operation{c: c}
	x := o.seq("x", "bct")
	w, b := o.fixed("weight", "cw"), o.optional("bias", "c")
	B, C, W := x.t.Dim(0), x.t.Dim(2), w.t.Dim(1)
	o.newState = func() *tensor.State {
		st := tensor.NewState("conv", B).Add("x", tensor.New(B, W-1, C)).Add("x again", tensor.New(B, W-1, C))
		o.start(st, 0, "initial_state", "bcw", "bwc")
		o.start(st, 1, "initial_state", "bcw", "bwc")
		return st
	}
	o.forward = func(_ *tensor.Scope, at pick, st *tensor.State) tensors {
		conv := &nn.ShortConv{Weight: at(w), Bias: at(b), SiLU: true}
		plain := &nn.ShortConv{Weight: at(w), Bias: at(b)}
		return tensors{conv.Forward(at(x), st.Part(0)), plain.Forward(at(x), st.Part(1))}
	}
	o.outs = []output{{"out.y", "bct"}, {"out.y_noact", "bct"}}
	o.states = []stateCheck{{"state.final", partValues(0, "bwc", "bcw")}}
	return o
}

func longConv(c *refCase) *operation {
	o := &operation{c: c}
	u, k := o.seq("u", "bct"), o.fixed("k", "ct")
	var D *leaf
	if c.has("out.y_plus_Du") {
		D = o.fixed("D", "c")
	}
	L := k.t.Dim(0)
	o.newState = func() *tensor.State { return fft.NewConvState(u.t.Dim(0), L, u.t.Dim(2)) }
	o.forward = func(_ *tensor.Scope, at pick, st *tensor.State) tensors {
		y := fft.CausalConv(at(u), at(k), st)
		if D == nil {
			return tensors{y}
		}
		return tensors{y, tensor.Add(y, tensor.Mul(at(u), at(D)))}
	}
	o.outs = []output{{"out.y", "bct"}}
	if D != nil {
		o.outs = append(o.outs, output{"out.y_plus_Du", "bct"})
	}
	return o
}

// ssd: h ← e^{dt A} h + dt x Bᵀ, y = h C: the matrix recurrence with q = C,
// k = B, v = dt x and a log decay dt A per head.
func ssd(s *tensor.Scope, x, dt, A, B, C *tensor.Tensor, st *tensor.Part) *tensor.Tensor {
	return scan.Matrix(scan.MatrixInput{
		Q: C, K: B, V: tensor.Mul(x, tensor.Contiguous(dt).Reshape(dt.Dim(0), dt.Dim(1), dt.Dim(2), 1)),
		LogDecay: tensor.Mul(dt, A),
	}, st)
}

func ssdLeaves(o *operation) (x, dt, A, B, C *leaf) {
	x, dt, A, B, C = o.seq("x", "bthp"), o.seq("dt", "bth"), o.fixed("A", "h"), o.seq("B", "btgn"), o.seq("C", "btgn")
	o.newState = func() *tensor.State {
		st := tensor.NewState("ssd", x.t.Dim(0)).Add("h", tensor.New(x.t.Dim(0), x.t.Dim(2), B.t.Dim(3), x.t.Dim(3)))
		o.start(st, 0, "initial_state", "bhpn", "bhnp")
		return st
	}
	o.outs = []output{{"out.y", "bthp"}}
	return
}

func ssdMinimal(c *refCase) *operation {
	o := &operation{c: c}
	x, dt, A, B, C := ssdLeaves(o)
	o.forward = func(s *tensor.Scope, at pick, st *tensor.State) tensors {
		return tensors{ssd(s, at(x), at(dt), at(A), at(B), at(C), st.Part(0))}
	}
	o.states = []stateCheck{{"state.final", partValues(0, "bhnp", "bhpn")}}
	return o
}

func ssdCombined(c *refCase) *operation {
	o := &operation{c: c}
	x, dt, A, B, C := ssdLeaves(o)
	D, bias, z := o.fixed("D", "h"), o.fixed("dt_bias", "h"), o.seq("z", "bthp")
	o.forward = func(s *tensor.Scope, at pick, st *tensor.State) tensors {
		d := tensor.Softplus(tensor.Add(at(dt), at(bias)))
		y := ssd(s, at(x), d, at(A), at(B), at(C), st.Part(0))
		y = tensor.Add(y, tensor.Mul(at(x), at(D).Reshape(D.t.Len(), 1)))
		return tensors{tensor.Mul(y, tensor.SiLU(at(z)))}
	}
	return o
}
