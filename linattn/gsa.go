package linattn

import (
	"fmt"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// GSAConfig describes a layer of gated slot attention. Zero values mean the defaults.
type GSAConfig struct {
	DModel    int     // channels of the residual stream
	NumHeads  int     // default 4
	HeadDim   int     // channels of q and k in a head; default DModel/NumHeads
	ValueDim  int     // channels of v in a head; default DModel/NumHeads
	NumSlots  int     // rows of each head's memory; default HeadDim
	GateScale float64 // the log decay is divided by this; default 8
	ConvSize  int     // width of short convolutions; 0 means none
	NormEps   float64 // of the output norm; default 1e-5
	Seed      uint64  // of the initialisation, torch's
}

// GSA is gated slot attention, arXiv 2409.07146
// (fla-org/flash-linear-attention: fla/layers/gsa.py): softmax attention over
// a memory of M slots, each of which forgets at its own rate,
//
//	f_t = σ(W_f x)^{1/GateScale};   q, k, v = SiLU(W x)
//	K̃_t = diag(f_t) K̃_{t−1} + (1−f_t) k_tᵀ;   Ṽ_t = diag(f_t) Ṽ_{t−1} + (1−f_t) v_tᵀ
//	y = W_o RMSNorm(SiLU(Ṽ_tᵀ softmax(K̃_t q_t))), the norm over all heads
//
// Its state is NumSlots·(HeadDim+ValueDim) floats for each head, and a token
// costs that of two layers of HGRN2: 1.2 times its time at 768 channels and 2048
// tokens, projections and all, 1.4 with gradients (go test -bench Layers ./bench).
type GSA struct {
	mixer
	slots     int
	gateScale float32
	F         *nn.Linear // of the slots' rates
}

// NewGSA makes a layer.
func NewGSA(c GSAConfig) (*GSA, error) {
	c.NumHeads, c.GateScale = or(c.NumHeads, 4), or(c.GateScale, 8)
	dim := c.DModel / max(1, c.NumHeads)
	c.HeadDim = or(c.HeadDim, dim)
	c.NumSlots = or(c.NumSlots, c.HeadDim)
	if err := checkGateScale("GSA", c.GateScale); err != nil {
		return nil, err
	}
	if c.NumSlots < 0 || c.NumSlots > maxWidth/max(1, c.NumHeads) {
		return nil, fmt.Errorf("linattn.GSAConfig: NumSlots %d: want 1 to %d in all heads", c.NumSlots, maxWidth)
	}
	m, mk, err := newMixer(mixerConfig{
		layer: "GSA", dModel: c.DModel, heads: c.NumHeads, vHeads: c.NumHeads, keyDim: c.HeadDim, valDim: or(c.ValueDim, dim),
		conv: c.ConvSize, normName: "g_norm", normAll: true, eps: or(c.NormEps, 1e-5), seed: c.Seed,
	})
	if err != nil {
		return nil, err
	}
	m.kind = fmt.Sprintf("%s slots=%d", m.kind, c.NumSlots)
	l := &GSA{mixer: m, slots: c.NumSlots, gateScale: float32(1 / c.GateScale), F: mk.linear(c.DModel, c.NumHeads*c.NumSlots, false)}
	return l, mk.err
}

// Params lists the weights under flash-linear-attention's names.
func (l *GSA) Params() nn.Params { return append(l.mixer.Params(), l.F.Params().Prefix("f_proj")...) }

// NewState has the parts "v" [batch, heads, slots, value], the convolutions'
// if there are any, and last "k" [batch, heads, key, slots].
func (l *GSA) NewState(batch int) *tensor.State {
	st := tensor.NewState(l.kind, batch).Add("v", tensor.New(batch, l.heads, l.slots, l.valDim))
	return l.addConvs(st, batch).Add("k", tensor.New(batch, l.heads, l.keyDim, l.slots))
}

// Forward mixes x [batch, length, DModel].
func (l *GSA) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	q, k, v := l.project(x, st, false)
	q, k, v = tensor.SiLU(q), tensor.SiLU(k), tensor.SiLU(v)
	g := tensor.Scale(logSigmoid(l.F.Forward(x)), l.gateScale)
	input := tensor.AddConst(tensor.Neg(tensor.Exp(g)), 1)

	keys := 1 // the state's part of K̃
	if l.QConv != nil {
		keys = 4
	}
	g, input = headed(g, l.heads), headed(input, l.heads)
	scores := scan.Matrix(scan.MatrixInput{Q: q, K: k, V: input, LogValueDecay: g}, st.Part(keys))
	weights := tensor.Softmax(scores)
	o := scan.Matrix(scan.MatrixInput{Q: weights, K: input, V: v, LogDecay: g}, st.Part(0))
	return l.finish(tensor.SiLU(o), nil, st)
}
