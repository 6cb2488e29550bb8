// Package ssm has state space models: layers whose state is a linear dynamical
// system driven by the sequence.
//
//	Mamba   selective: the step and the projections in and out of the state depend on the token
//	S4D     time-invariant and diagonal: a long convolution over whole sequences, a recurrence over tokens
//
// Glossary, with the names of the papers (Mamba: arXiv 2312.00752, S4D: arXiv
// 2206.11893): x or u the input, h the state of N numbers for each channel, A
// what becomes of the state, B how the input enters it, C how it is read, D a
// direct path, dt (Δ) the step of the discretisation.
package ssm
