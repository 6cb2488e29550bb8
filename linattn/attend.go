package linattn

import (
	"math"
	"sync"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/gemm"
	"github.com/subquad/subquad/internal/kernel/rec"
	"github.com/subquad/subquad/internal/kernel/vec"
	"github.com/subquad/subquad/tensor"
)

// SoftmaxOptions says which keys a query sees and how scores are scaled.
type SoftmaxOptions struct {
	Window int     // keys that a query sees, itself included; 0 means all before it
	Scale  float32 // of the scores; 0 means HeadDim^−½

	// ALiBi adds −m (distance of query and key) to the scores, m = 2^{−8(h+1)/heads} (arXiv 2108.12409).
	ALiBi bool

	// Sinks, [heads], if not nil, are scores that every query sees beside those
	// of its keys, without a value: a head may attend to nothing (gpt-oss:
	// huggingface/transformers modeling_gpt_oss.py#eager_attention_forward).
	Sinks *tensor.Tensor
}

// Softmax is exact causal softmax attention. q is [batch, T, heads, D]; k and v
// are [batch, T, kvHeads, D] and [batch, T, kvHeads, V], query head h reading
// key head h/(heads/kvHeads). The result is [batch, T, heads, V].
//
// Scores are never held as a T×T matrix: blocks of queries meet blocks of keys
// under a running maximum and sum (FlashAttention, arXiv 2205.14135). Time
// grows with T², or T·Window.
//
// st, if not nil, holds the keys and values of earlier tokens: part 0 is
// [batch, slots, kvHeads, D], part 1 [batch, slots, kvHeads, V]. The key of
// token p lies in slot p mod slots, a ring of Window slots; without a window
// the slots double when they are full. Keys are stored as given, that is,
// after any rotation. The caller counts the tokens (State.Advance).
func Softmax(q, k, v *tensor.Tensor, o SoftmaxOptions, st *tensor.State) *tensor.Tensor {
	const op = "linattn.Softmax"
	tensor.Check(op, "q", q, -1, -1, -1, -1)
	B, T, H, D := q.Dim(0), q.Dim(1), q.Dim(2), q.Dim(3)
	tensor.Check(op, "k", k, B, T, -1, D)
	G := k.Dim(2)
	tensor.Check(op, "v", v, B, T, G, -1)
	if G == 0 || H%G != 0 || o.Window < 0 {
		panic(&tensor.ShapeError{Op: op, Arg: "heads, kvHeads, window", Got: []int{H, G, o.Window}, Want: "heads a multiple of kvHeads, window ≥ 0"})
	}
	if o.Scale == 0 {
		o.Scale = float32(1 / math.Sqrt(float64(max(D, 1))))
	}
	s := tensor.ScopeOf(op, q, k, v)
	V := v.Dim(3)
	a := attention{B: B, T: T, H: H, G: G, D: D, V: V, window: o.Window, scale: o.Scale, alibi: o.ALiBi}
	if o.Sinks != nil {
		tensor.Check(op, "Sinks", o.Sinks, H)
		a.sinks = o.Sinks.Raw()
	}

	if st != nil {
		reserve(s, st, o.Window, T)
		a.pos = st.Pos
		a.slots = st.Part(0).Value.Dim(1)
	}
	y := tensor.Out(op, []int{B, T, H, V}, q, k, v, o.Sinks)
	var k0, k1, v0, v1 *tensor.Tensor
	if st != nil {
		k0, k1 = st.Part(0).Begin(s, op, B, a.slots, G, D)
		v0, v1 = st.Part(1).Begin(s, op, B, a.slots, G, V)
	}
	if y.IsFloat64() {
		a.plain(y, q, k, v, k0, v0, k1, v1, o.Sinks)
	} else {
		q, k, v = tensor.Contiguous(q), tensor.Contiguous(k), tensor.Contiguous(v)
		pastK, pastV := k1, v1 // read before they are overwritten below
		if k0 != nil {
			pastK, pastV = k0, v0
		}
		var lse []float32
		if s.Recording() {
			lse = s.Floats(B * H * T)
		}
		a.forward(s.Workers(), y.Data(), q.Data(), k.Data(), v.Data(), data(pastK), data(pastV), lse)
		a.store(data(k1), k.Data(), D)
		a.store(data(v1), v.Data(), V)
		if y.Recording() {
			a.recordBackward(s, y, q, k, v, k0, k1, v0, v1, o.Sinks, lse)
		}
	}
	if st != nil {
		st.Part(0).End(k1)
		st.Part(1).End(v1)
	}
	return y
}

func data(t *tensor.Tensor) []float32 {
	if t == nil {
		return nil
	}
	return t.Data()
}

// reserve makes room for T more keys in a state without a window: slots double.
func reserve(s *tensor.Scope, st *tensor.State, window, T int) {
	have := st.Part(0).Value.Dim(1)
	need := 0
	for _, p := range st.Pos {
		need = max(need, int(p)+T)
	}
	if window > 0 || need <= have {
		return
	}
	more := max(need, 2*have) - have
	st.Part(0).Grow(s, 1, more)
	st.Part(1).Grow(s, 1, more)
}

// attention is one call of Softmax: sizes, and where the earlier keys are.
type attention struct {
	B, T, H, G, D, V int
	window           int
	scale            float32
	pos              []int64 // tokens seen before, for each sequence; nil for none
	slots            int     // of the ring of earlier keys
	alibi            bool
	sinks            []float32 // a head's own score, or nil
}

// slope is ALiBi's for a head; 0 without it.
func (a *attention) slope(h int) float64 {
	if !a.alibi {
		return 0
	}
	return math.Exp2(-8 * float64(h+1) / float64(a.H))
}

// past is the number of earlier tokens whose keys sequence b still holds and
// some query may see, and the position of the first of them.
func (a *attention) past(b int) (first, n int) {
	if a.pos == nil {
		return 0, 0
	}
	n = min(int(a.pos[b]), a.slots)
	if a.window > 0 {
		n = min(n, a.window-1)
	}
	return int(a.pos[b]) - n, n
}

// store puts the new keys (or values) of width w into their slots.
func (a *attention) store(ring, rows []float32, w int) {
	if a.pos == nil {
		return
	}
	w *= a.G
	for b := range a.B {
		for t := max(0, a.T-a.slots); t < a.T; t++ {
			slot := (int(a.pos[b]) + t) % a.slots
			copy(ring[(b*a.slots+slot)*w:][:w], rows[(b*a.T+t)*w:][:w])
		}
	}
}

// Blocks of queries and keys, whole tiles of every level's products: what a block needs stays
// in the second-level cache. The rows of scores are a few columns longer, lest they all fall
// on the same sets of it.
const (
	queryBlock = 96
	keyBlock   = 240
	edgeBlock  = 24 // of keys that some of the queries come before
	scoreRow   = queryBlock + 16
)

// A worker's memory. keys and vals hold one key head's rows, earlier ones
// first, contiguous, so that blocks of them are plain matrices.
type scratch struct {
	keys, vals, scores, max, sum, dk, dv, dp []float32

	queries, grads, factor, out, ramp []float32 // of a block of queries

	runs []run
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func sized(p *[]float32, n int) []float32 {
	if cap(*p) < n {
		*p = make([]float32, n+n/4)
	}
	*p = (*p)[:n]
	return *p
}

// gather copies the rows of key head g of sequence b, earlier ones first.
func (a *attention) gather(dst, past, rows []float32, b, g, w int) {
	first, n := a.past(b)
	for i := range n {
		slot := (first + i) % a.slots
		copy(dst[i*w:][:w], past[((b*a.slots+slot)*a.G+g)*w:])
	}
	for t := range a.T {
		copy(dst[(n+t)*w:][:w], rows[((b*a.T+t)*a.G+g)*w:])
	}
}

// A run is keys and values of one head that lie at equal distances.
type run struct {
	at, n      int // the first one's gathered position, and how many
	keys, vals []float32
	ldk, ldv   int
}

// gatherFrom is the number of queries from which copying keys and values side by side pays.
const gatherFrom = 16

// runs are the keys and values that key head g of sequence b reads, earlier
// ones first: gathered, or for a few queries, as in decoding, where they lie: the ring from
// its oldest slot, its beginning, the new ones.
func (a *attention) runs(sc *scratch, pastK, pastV, k, v []float32, b, g int) []run {
	first, n := a.past(b)
	if a.T >= gatherFrom {
		keys, vals := sized(&sc.keys, (n+a.T)*a.D), sized(&sc.vals, (n+a.T)*a.V)
		a.gather(keys, pastK, k, b, g, a.D)
		a.gather(vals, pastV, v, b, g, a.V)
		return append(sc.runs[:0], run{0, n + a.T, keys, vals, a.D, a.V})
	}
	ldk, ldv := a.G*a.D, a.G*a.V
	out := sc.runs[:0]
	for at := 0; at < n; {
		slot := (first + at) % a.slots
		r := run{at, min(n-at, a.slots-slot), pastK[(b*a.slots+slot)*ldk+g*a.D:], pastV[(b*a.slots+slot)*ldv+g*a.V:], ldk, ldv}
		out = append(out, r)
		at += r.n
	}
	return append(out, run{n, a.T, k[b*a.T*ldk+g*a.D:], v[b*a.T*ldv+g*a.V:], ldk, ldv})
}

// scatterAdd adds the gradient of gathered rows to where the rows came from.
func (a *attention) scatterAdd(grad, past, rows []float32, b, g, w int) {
	first, n := a.past(b)
	if past != nil {
		for i := range n {
			slot := (first + i) % a.slots
			d := past[((b*a.slots+slot)*a.G+g)*w:][:w]
			vec.Add(d, d, grad[i*w:])
		}
	}
	if rows != nil {
		for t := range a.T {
			d := rows[((b*a.T+t)*a.G+g)*w:][:w]
			vec.Add(d, d, grad[(n+t)*w:])
		}
	}
}

// span is the range of gathered keys that queries lo ≤ t < hi of a sequence
// with n earlier keys may see.
func (a *attention) span(n, lo, hi int) (from, to int) {
	to = n + hi
	if a.window > 0 {
		from = max(0, n+lo-a.window+1)
	}
	return from, to
}

func (a *attention) forward(workers int, y, q, k, v, pastK, pastV, lse []float32) {
	units := a.B * a.G
	if units == 0 || a.T == 0 {
		return
	}
	keys := 0
	for b := range a.B {
		_, n := a.past(b)
		keys = max(keys, n+a.T)
	}
	if a.window > 0 {
		keys = min(keys, a.window)
	}
	// Few queries wait for their keys and values to be read, at some 20 bytes a nanosecond.
	ns := float64(keys*(a.D+a.V)) * max(float64(a.T*(a.H/a.G))/40, 4.0/20)
	// A task is one key head and one share of its queries; shares are cut at
	// fixed blocks so that results do not depend on how many there are.
	blocks := (a.T + queryBlock - 1) / queryBlock
	share := 1
	if tasks := hw.Tasks(workers, units*blocks, ns/float64(blocks)); tasks > units {
		share = min(blocks, (tasks+units-1)/units)
	}
	if hw.Tasks(workers, units*share, ns/float64(share)) == 1 {
		for u := range units {
			a.head(u, 0, a.T, y, q, k, v, pastK, pastV, lse)
		}
		return
	}
	a.parallel(workers, units, share, blocks, y, q, k, v, pastK, pastV, lse)
}

// parallel is apart from forward so that its closure costs a serial call nothing.
func (a *attention) parallel(workers, units, share, blocks int, y, q, k, v, pastK, pastV, lse []float32) {
	c := *a
	hw.Parallel(workers, units*share, func(i int) {
		// The last queries see the most keys: start with them.
		lo, hi := hw.Range(share-1-i/units, share, blocks)
		c.head(i%units, lo*queryBlock, min(hi*queryBlock, c.T), y, q, k, v, pastK, pastV, lse)
	})
}

// head computes queries lo ≤ t < hi of all query heads that read key head u%G of sequence u/G.
func (a *attention) head(u, lo, hi int, y, q, k, v, pastK, pastV, lse []float32) {
	b, g := u/a.G, u%a.G
	_, n := a.past(b)
	sc := scratches.Get().(*scratch)
	defer scratches.Put(sc)
	sc.runs = a.runs(sc, pastK, pastV, k, v, b, g)
	for h := g * (a.H / a.G); h < (g+1)*(a.H/a.G); h++ {
		if a.T < gatherFrom {
			a.few(sc, b, h, n, y, q, lse)
			continue
		}
		a.setRamp(sc, h, n)
		for t0 := lo; t0 < hi; t0 += queryBlock {
			a.block(sc, b, h, n, t0, min(queryBlock, hi-t0), y, q, lse)
		}
	}
}

// few computes all queries of head h, which are few: a row of scores for each.
func (a *attention) few(sc *scratch, b, h, n int, y, q, lse []float32) {
	scores := sized(&sc.scores, gatherFrom*keyBlock)
	rowMax, rowSum := sized(&sc.max, gatherFrom), sized(&sc.sum, gatherFrom)
	slope := a.slope(h)
	for i := range a.T {
		rowMax[i], rowSum[i] = float32(math.Inf(-1)), 0
		if a.sinks != nil {
			rowMax[i], rowSum[i] = a.sinks[h], 1
		}
		clear(y[((b*a.T+i)*a.H+h)*a.V:][:a.V])
	}
	from, to := a.span(n, 0, a.T)
	for _, r := range sc.runs {
		end := min(to, r.at+r.n)
		for j0 := max(from, r.at); j0 < end; j0 += keyBlock {
			w := min(keyBlock, end-j0)
			gemm.Mul(1, false, false, true, a.T, w, a.D, q[(b*a.T*a.H+h)*a.D:], a.H*a.D, r.keys[(j0-r.at)*r.ldk:], r.ldk, scores, w)
			for i := range a.T {
				a.softmaxRow(scores[i*w:(i+1)*w], n+i, j0, slope, &rowMax[i], &rowSum[i], y[((b*a.T+i)*a.H+h)*a.V:][:a.V])
			}
			gemm.Mul(1, true, false, false, a.T, a.V, w, scores, w, r.vals[(j0-r.at)*r.ldv:], r.ldv, y[(b*a.T*a.H+h)*a.V:], a.H*a.V)
		}
	}
	for i := range a.T {
		row := y[((b*a.T+i)*a.H+h)*a.V:][:a.V]
		vec.Scale(row, row, 1/rowSum[i])
		if lse != nil {
			lse[(b*a.H+h)*a.T+i] = rowMax[i] + float32(math.Log(float64(rowSum[i])))
		}
	}
}

// softmaxRow turns one row of raw scores, of keys j0, j0+1, …, for the query
// at gathered position p into weights e^{s−max}, with the running maximum and
// sum of the row brought up to date and its output so far rescaled.
func (a *attention) softmaxRow(s []float32, p, j0 int, slope float64, rowMax, rowSum *float32, out []float32) {
	lo, hi := a.visible(len(s), p, j0)
	clear(s[:lo])
	clear(s[hi:])
	if lo == hi {
		return
	}
	s = s[lo:hi]
	scale := a.scale
	if slope != 0 || scale < 0 {
		vec.Scale(s, s, scale)
		for i := range s {
			s[i] += float32(slope * float64(j0+lo+i-p))
		}
		scale = 1
	}
	m := max(*rowMax, scale*vec.Max(s))
	if m > *rowMax {
		if *rowSum != 0 {
			f := float32(math.Exp(float64(*rowMax - m)))
			*rowSum *= f
			vec.Scale(out, out, f)
		}
		*rowMax = m
	}
	*rowSum += vec.ExpSum(s, s, scale, -*rowMax)
}

// visible is the range of n keys from j0 on that the query at p sees.
func (a *attention) visible(n, p, j0 int) (lo, hi int) {
	hi = min(max(p+1-j0, 0), n)
	if a.window > 0 {
		lo = min(max(p-a.window+1-j0, 0), hi)
	}
	return lo, hi
}

// block computes m queries of head h from t0 on. Scores of keys and queries have a row for
// each key: neighbours are queries, each with its own maximum and sum.
func (a *attention) block(sc *scratch, b, h, n, t0, m int, y, q, lse []float32) {
	r := &sc.runs[0]
	scores, out := sized(&sc.scores, keyBlock*scoreRow), sized(&sc.out, m*a.V)
	top, sum, factor := sized(&sc.max, m), sized(&sc.sum, m), sized(&sc.factor, m)
	scale := a.setQueries(sc, q[((b*a.T+t0)*a.H+h)*a.D:], m)
	clear(out)
	for i := range m {
		top[i], sum[i] = float32(math.Inf(-1)), 0
		if a.sinks != nil {
			top[i], sum[i] = a.sinks[h]/scale, 1
		}
	}
	from, to := a.span(n, t0, t0+m)
	for c := a.tile(from, to, n+t0, m); c.keys > 0; c = a.tile(c.key+c.keys, to, n+t0, m) {
		a.scores(sc, c, scores, r.keys)
		rec.Softmax(&rec.SoftmaxArgs{T: c.keys, C: c.hi - c.lo, S: scores[c.lo:], Stride: scoreRow, Scale: scale, Max: top[c.lo:], Sum: sum[c.lo:], Factor: factor[c.lo:]})
		for i, f := range factor[c.lo:c.hi] {
			if f != 1 {
				row := out[(c.lo+i)*a.V:][:a.V]
				vec.Scale(row, row, f)
			}
		}
		gemm.Mul(1, true, true, false, c.hi-c.lo, a.V, c.keys, scores[c.lo:], scoreRow, r.vals[c.key*a.V:], a.V, out[c.lo*a.V:], a.V)
	}
	for i := range m {
		vec.Scale(y[((b*a.T+t0+i)*a.H+h)*a.V:][:a.V], out[i*a.V:], 1/sum[i])
		if lse != nil {
			lse[(b*a.H+h)*a.T+t0+i] = scale*top[i] + float32(math.Log(float64(sum[i])))
		}
	}
}

// A tile is some keys, from gathered position key on, with those of a block's queries lo ≤ i < hi
// that see any of them; the block's first query is at gathered position first.
type tile struct{ key, keys, first, lo, hi int }

// tile is the next one of the keys from ≤ key < to and the m queries at position p and after.
func (a *attention) tile(from, to, p, m int) tile {
	keys := min(keyBlock, to-from)
	if from+keys > p { // up to p all queries come after the keys
		keys = min(keys, max(p-from, edgeBlock))
	}
	// Queries are taken by 16, a vector of them.
	c := tile{key: from, keys: keys, first: p, lo: max(from-p, 0) &^ 15, hi: m}
	if a.window > 0 {
		c.hi = min(m, (from+keys+a.window-1-p+15)&^15)
	}
	return c
}

// unseen are the scores of keys that queries do not see.
var unseen = func() (s [queryBlock]float32) {
	for i := range s {
		s[i] = float32(math.Inf(-1))
	}
	return s
}()

// scores computes those of a tile from the queries that setQueries laid out.
func (a *attention) scores(sc *scratch, c tile, s, keys []float32) {
	gemm.Mul(1, false, false, false, c.keys, c.hi-c.lo, a.D, keys[c.key*a.D:], a.D, sc.queries[c.lo:], queryBlock, s[c.lo:], scoreRow)
	if !a.alibi && a.window == 0 && c.key+c.keys <= c.first+c.lo {
		return
	}
	for j := range c.keys {
		row := s[j*scoreRow:][:queryBlock]
		before := c.key + j - c.first // queries that the key comes after
		if a.alibi {
			vec.Add(row[c.lo:c.hi], row[c.lo:], sc.ramp[queryBlock+c.lo-before:])
		}
		if before > c.lo {
			copy(row[c.lo:min(before, c.hi)], unseen[:])
		}
		if a.window > 0 && before+a.window < c.hi {
			copy(row[max(before+a.window, c.lo):c.hi], unseen[:])
		}
	}
}

// setRamp is what ALiBi adds to the scores of head h: at queryBlock+i of a key i tokens back.
func (a *attention) setRamp(sc *scratch, h, n int) {
	if !a.alibi {
		return
	}
	slope := a.slope(h)
	for i := range sized(&sc.ramp, n+a.T+2*queryBlock) {
		sc.ramp[i] = float32(slope * float64(queryBlock-i))
	}
}

// setQueries lays m rows of q out as columns, and returns the scale that scores are still to have.
func (a *attention) setQueries(sc *scratch, q []float32, m int) float32 {
	gemm.Transpose(m, a.D, q, a.H*a.D, sized(&sc.queries, a.D*queryBlock), queryBlock)
	if !a.scaled() {
		return a.scale
	}
	for i := range a.D {
		row := sc.queries[i*queryBlock:][:m]
		vec.Scale(row, row, a.scale)
	}
	return 1
}

// scaled reports whether queries are scaled and not scores: where something else is added to
// those, and for scales that rec.Softmax does not take.
func (a *attention) scaled() bool {
	return a.alibi || !(a.scale >= rec.MinSoftmaxScale && a.scale <= rec.MaxA)
}

// recordBackward registers the gradient: weights are recomputed from the
// log-sum-exp of each row, block by block; with P the weights and dP = dY Vᵀ,
// dS = P ⊙ (dP − rowsum(dY ⊙ Y)).
func (a *attention) recordBackward(s *tensor.Scope, y, q, k, v, k0, k1, v0, v1, sinks *tensor.Tensor, lse []float32) {
	c := *a
	if a.pos != nil {
		c.pos = append([]int64(nil), a.pos...) // the caller advances the state's own
	}
	outs := []*tensor.Tensor{y}
	if k1 != nil {
		outs = append(outs, k1, v1)
	}
	tensor.OnBackward(func() {
		dk, dv := grad(k), grad(v)
		dk0, dv0 := grad(k0), grad(v0)
		c.storeBackward(k1, dk, dk0, c.D)
		c.storeBackward(v1, dv, dv0, c.V)
		if !y.HasGrad() {
			return
		}
		dy, dq := y.Grad().Data(), grad(q)
		if sinks.NeedsGrad() {
			c.sinksBackward(sinks.Grad().Data(), y.Data(), dy, lse)
		}
		hw.Parallel(s.Workers(), c.B*c.G, func(u int) {
			c.headBackward(u, y.Data(), dy, q.Data(), k.Data(), v.Data(), data(k0), data(v0), lse, dq, dk, dv, dk0, dv0)
		})
	}, outs...)
}

// sinksBackward adds −Σ e^{sink − lse} (dY·Y), a sink having no value.
func (a *attention) sinksBackward(d, y, dy, lse []float32) {
	for b := range a.B {
		for t := range a.T {
			for h := range a.H {
				o := ((b*a.T+t)*a.H + h) * a.V
				w := math.Exp(float64(a.sinks[h] - lse[(b*a.H+h)*a.T+t]))
				d[h] -= float32(w) * vec.Dot(dy[o:o+a.V], y[o:o+a.V])
			}
		}
	}
}

func grad(t *tensor.Tensor) []float32 {
	if !t.NeedsGrad() {
		return nil
	}
	return t.Grad().Data()
}

// storeBackward passes the gradient of the ring after this call to the new
// rows and to the slots that were kept.
func (a *attention) storeBackward(after *tensor.Tensor, rows, before []float32, w int) {
	if !after.HasGrad() {
		return
	}
	w *= a.G
	d := after.Grad().Data()
	for b := range a.B {
		if rows != nil {
			for t := max(0, a.T-a.slots); t < a.T; t++ {
				slot := (int(a.pos[b]) + t) % a.slots
				dst := rows[(b*a.T+t)*w:][:w]
				vec.Add(dst, dst, d[(b*a.slots+slot)*w:])
			}
		}
		if before != nil {
			for kept := range max(0, a.slots-a.T) {
				slot := (int(a.pos[b]) + a.T + kept) % a.slots
				dst := before[(b*a.slots+slot)*w:][:w]
				vec.Add(dst, dst, d[(b*a.slots+slot)*w:])
			}
		}
	}
}

func (a *attention) headBackward(u int, y, dy, q, k, v, pastK, pastV, lse, dq, dk, dv, dPastK, dPastV []float32) {
	b, g := u/a.G, u%a.G
	_, n := a.past(b)
	sc := scratches.Get().(*scratch)
	defer scratches.Put(sc)
	keys, vals := sized(&sc.keys, (n+a.T)*a.D), sized(&sc.vals, (n+a.T)*a.V)
	a.gather(keys, pastK, k, b, g, a.D)
	a.gather(vals, pastV, v, b, g, a.V)
	dKeys, dVals := sized(&sc.dk, len(keys)), sized(&sc.dv, len(vals))
	clear(dKeys)
	clear(dVals)
	p, dp, dys := sized(&sc.scores, keyBlock*scoreRow), sized(&sc.dp, keyBlock*scoreRow), sized(&sc.grads, a.V*queryBlock)
	top, delta := sized(&sc.max, queryBlock), sized(&sc.sum, queryBlock)
	for h := g * (a.H / a.G); h < (g+1)*(a.H/a.G); h++ {
		a.setRamp(sc, h, n)
		for t0 := 0; t0 < a.T; t0 += queryBlock {
			m := min(queryBlock, a.T-t0)
			rowsQ, rowsY := ((b*a.T+t0)*a.H+h)*a.D, ((b*a.T+t0)*a.H+h)*a.V
			scale := a.setQueries(sc, q[rowsQ:], m)
			gemm.Transpose(m, a.V, dy[rowsY:], a.H*a.V, dys, queryBlock)
			for i := range m {
				o := rowsY + i*a.H*a.V
				delta[i] = vec.Dot(dy[o:o+a.V], y[o:o+a.V])
				top[i] = lse[(b*a.H+h)*a.T+t0+i] / scale
			}
			from, to := a.span(n, t0, t0+m)
			for c := a.tile(from, to, n+t0, m); c.keys > 0; c = a.tile(c.key+c.keys, to, n+t0, m) {
				cols := c.hi - c.lo
				a.scores(sc, c, p, keys)
				gemm.Mul(1, false, false, false, c.keys, cols, a.V, vals[c.key*a.V:], a.V, dys[c.lo:], queryBlock, dp[c.lo:], scoreRow)
				rec.SoftmaxBackward(&rec.SoftmaxGrads{T: c.keys, C: cols, S: p[c.lo:], D: dp[c.lo:], Stride: scoreRow, LSE: top[c.lo:], Delta: delta[c.lo:], Scale: scale})
				if a.scaled() {
					for j := range c.keys {
						row := dp[j*scoreRow:][c.lo:c.hi]
						vec.Scale(row, row, a.scale)
					}
				}
				gemm.Mul(1, true, false, false, c.keys, a.V, cols, p[c.lo:], scoreRow, dy[rowsY+c.lo*a.H*a.V:], a.H*a.V, dVals[c.key*a.V:], a.V)
				gemm.Mul(1, true, false, false, c.keys, a.D, cols, dp[c.lo:], scoreRow, q[rowsQ+c.lo*a.H*a.D:], a.H*a.D, dKeys[c.key*a.D:], a.D)
				if dq != nil {
					gemm.Mul(1, true, true, false, cols, a.D, c.keys, dp[c.lo:], scoreRow, keys[c.key*a.D:], a.D, dq[rowsQ+c.lo*a.H*a.D:], a.H*a.D)
				}
			}
		}
	}
	a.scatterAdd(dKeys, dPastK, dk, b, g, a.D)
	a.scatterAdd(dVals, dPastV, dv, b, g, a.V)
}

// plain is the definition: softmax over the keys that a query sees, in float64.
func (a *attention) plain(y, q, k, v, k0, v0, k1, v1, sinks *tensor.Tensor) {
	qs, ks, vs := q.Values64(), k.Values64(), v.Values64()
	var pastK, pastV []float64
	if k0 != nil {
		pastK, pastV = k0.Values64(), v0.Values64()
	}
	out := make([]float64, y.Len())
	for b := range a.B {
		first, n := a.past(b)
		for t := range a.T {
			for h := range a.H {
				g := h / (a.H / a.G)
				query := qs[((b*a.T+t)*a.H+h)*a.D:][:a.D]
				o := out[((b*a.T+t)*a.H+h)*a.V:][:a.V]
				at := func(j, w int, past, rows []float64) []float64 { // row of gathered key j
					if j < n {
						return past[((b*a.slots+(first+j)%a.slots)*a.G+g)*w:][:w]
					}
					return rows[((b*a.T+j-n)*a.G+g)*w:][:w]
				}
				lo, _ := a.span(n, t, t+1)
				scores := make([]float64, n+t+1)
				top := math.Inf(-1)
				if sinks != nil {
					top = sinks.At(h)
				}
				for j := lo; j <= n+t; j++ {
					for i, x := range at(j, a.D, pastK, ks) {
						scores[j] += query[i] * x
					}
					scores[j] = scores[j]*float64(a.scale) + a.slope(h)*float64(j-n-t)
					top = math.Max(top, scores[j])
				}
				sum := 0.0
				if sinks != nil {
					sum = math.Exp(sinks.At(h) - top)
				}
				for j := lo; j <= n+t; j++ {
					w := math.Exp(scores[j] - top)
					sum += w
					for i, x := range at(j, a.V, pastV, vs) {
						o[i] += w * x
					}
				}
				for i := range o {
					o[i] /= sum
				}
			}
		}
	}
	y.SetValues64(out)
	if a.pos != nil {
		store64(a, k1, pastK, ks, a.D)
		store64(a, v1, pastV, vs, a.V)
	}
}

func store64(a *attention, after *tensor.Tensor, past, rows []float64, w int) {
	ring := append([]float64(nil), past...)
	w *= a.G
	for b := range a.B {
		for t := max(0, a.T-a.slots); t < a.T; t++ {
			slot := (int(a.pos[b]) + t) % a.slots
			copy(ring[(b*a.slots+slot)*w:][:w], rows[(b*a.T+t)*w:])
		}
	}
	after.SetValues64(ring)
}
