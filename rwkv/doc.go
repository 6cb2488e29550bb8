// Package rwkv has the layers of the RWKV family: time mixing, a linear
// recurrence over the sequence that takes the place of attention, and channel
// mixing, its feed-forward part. A model alternates the two, each after a
// layer norm and inside a residual.
//
//	TimeMix4, ChannelMix4   RWKV-4: a state of four numbers a channel
//	TimeMix5, ChannelMix5   RWKV-5.0, 5.1 and 5.2: heads with a matrix for a state
//	TimeMix6, ChannelMix6   RWKV-6: decays and token shifts that depend on the token
//	TimeMix7, ChannelMix7   RWKV-7: a generalised delta rule
//	TimeMixQ6, TimeMixQ7    the recurrences of 6 and 7 in Transformers converted by RADLADS: QRWKV6, Qwerky-7, ARWKV-7
//
// Each is made from a configuration, NewTimeMix7(Config7{DModel: 768}), takes
// x [batch, length, DModel], normed, and keeps a state of fixed size: see
// [github.com/subquad/subquad/nn.Layer]. Versions 7 and Q7 have a method Mix
// beside Forward, for the values that a model's first layer hands to the later
// ones. Whole models, with the norms and residuals, are in package lm.
//
// Glossary, with the names of the papers (RWKV-4: arXiv 2305.13048, RWKV-7:
// arXiv 2503.14456) and of BlinkDL's code:
//
//	token shift   every projection sees a blend of this token and the one before
//	receptance r  the query; key k, value v as in attention
//	decay w       how much of the state survives a token, per channel
//	bonus u       RWKV-4 to 6: the weight of the current token beside the state
//	a             RWKV-7: in-context learning rate, how much of the old value at key k is replaced
//	v_first       RWKV-7: the values of the first layer, blended into those of all later ones
//
// A time mix of the versions from 5 on costs 3 (5, 6, Q6) to 5 (7, Q7)
// multiply-adds for each number of its state and token, beside its projections;
// RWKV-4's a few exponentials a channel.
// Epsilons of the norms over heads are configuration: training code divides by
// 8 before a norm of 1e-5, which is 64e-5 without.
//
// Parameters carry the names and shapes of BlinkDL's checkpoints, those of the
// converted layers the names of theirs.
package rwkv
