// Package scan has the linear recurrences that sub-quadratic layers are made
// of, as operators on tensors: with an initial state in, the final state out,
// and gradients for every input and for the initial state.
//
//	Matrix           S ← diag(e^g) S + b (aᵀS) + k vᵀ,  o = Sᵀ q    linear attention, RetNet, GLA, Mamba-2, delta rules, RWKV-5 to 7
//	Selective        h ← e^{Δ A} h + Δ B x,  y = C h + D x          Mamba
//	Diagonal         h ← a h + b                                    HGRN, RG-LRU, minGRU
//	ComplexDiagonal  h ← a h + u,  y = Re Σ c h                     S4D, DSS, H3, Hyena's modes
//	WKV4             Σ e^{…+k} v / Σ e^{…+k}                        RWKV-4
//
// Matrix also has a decay for each column of its state, for gated slots.
//
// A layer calls the first of these that its recurrence fits: Matrix where a
// state is a matrix that tokens write by outer products and read by a query,
// the others where each number of the state goes its own way. A token costs, in
// multiply-adds, 2 to 5 for each number of a matrix (K·V a head), 3 and an
// exponential for each of Selective's states, 8 for each complex mode, a few
// exponentials a channel for WKV4; memory is the inputs' and the outputs', never
// a state for each token. go test -bench 'Selective|RWKV7|SSD|GLA' ./bench measures them.
//
// Each has a plain form, which reads like the equation and is what a Float64
// scope computes, and a fast one on kernels that keep the state in registers
// or first-level cache; Matrix has a third, which takes chunks of the sequence
// as matrix products (see Mode). The work is shared over sequences, heads and
// blocks of channels, never over time, so that results are the same bits for
// any number of workers.
//
// Sequences are [batch, length, …]. A *tensor.Part carries the state from one
// call to the next; nil starts from zero and keeps nothing. A sequence may be
// cut anywhere, down to single tokens. A recording scope keeps the state at
// the start of every chunk and recomputes the states inside for the gradients.
//
// States and decays are float32. A factor e^g near 1 is rounded by up to 3e-8
// a token, so that what is remembered over n = 1/(1−e^g) tokens is right to
// about 3e-8·n of its size: 3e-6 for a hundred tokens, 3e-3 for a hundred
// thousand (TestMillionTokens). Decays may be as strong as they like, −Inf
// included, and lengths may be 0 and 1 (TestMatrixExtremes, TestOtherExtremes).
// Matrix's products over chunks multiply keys by up to e^60, so keys must stay
// below 1e12 there; Mode Recurrent has no such bound (TestEdges).
package scan
