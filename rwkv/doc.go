// Package rwkv has the layers of the RWKV family: time mixing, a linear
// recurrence over the sequence that takes the place of attention, and channel
// mixing, its feed-forward part. A model alternates the two, each after a
// layer norm and inside a residual.
//
// Glossary, with the names of the papers (RWKV-4: arXiv 2305.13048, RWKV-7:
// arXiv 2503.14456) and of BlinkDL's code:
//
//	token shift   every projection sees a blend of this token and the one before
//	receptance r  the query; key k, value v as in attention
//	decay w       how much of the state survives a token, per channel
//	bonus u       RWKV-4: the weight of the current token beside the state
//	a             RWKV-7: in-context learning rate, how much of the old value at key k is replaced
//	v_first       RWKV-7: the values of the first layer, blended into those of all later ones
//
// Parameters carry the names and shapes of BlinkDL's checkpoints.
package rwkv
