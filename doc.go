// Package subquad is the front page of a library of sequence layers whose time
// grows with the length and not with its square: state space models, RWKV,
// linear attention and long convolutions, with exact softmax attention beside
// them, in pure Go and Go assembly, for inference and for training.
//
// # One method
//
// A layer maps a sequence [batch, length, channels] to one of the same shape:
//
//	y := layer.Forward(x, state)
//
// With a nil state it starts from nothing and keeps nothing. Otherwise the state
// (layer.NewState(batch)) is continued and updated in place, so that reading a
// prompt, appending to it and generating token by token are all this one method
// with different lengths; cut a sequence anywhere and outputs, final state and
// gradients are those of the whole. A state is a value of fixed size: clone it
// to fork, save it to a file, load it elsewhere. (That of softmax attention
// grows, and says so.)
//
// # Memory and gradients
//
// Plain calls put results on the heap. A tensor.Scope reuses memory from step to
// step, so that decoding allocates nothing, and with tensor.Record() remembers
// how results were made, for Backward:
//
//	s := tensor.NewScope(tensor.Record())
//	y := layer.Forward(s.From(data, 1, 100, 64), nil)
//	s.Backward(tensor.MeanAll(tensor.Square(y)))   // gradients: layer.Params()[i].Grad()
//	s.Reset()
//
// Results live in their scope until its Reset. A layer's weights are only read
// by Forward, so that one layer serves many goroutines, each with a scope and a
// state of its own; inside a call, work is shared over the cores, with the same
// bits for any number of them.
//
// # Where to begin
//
// To run a language model, begin with lm. To put a layer into a program of your
// own, begin with the family: each layer's page has its equation, its paper,
// the size of its state and the cost of a token; bench and its report measure
// them side by side. To write a layer, begin with examples/newlayer and
// docs/newlayer.md.
//
// What is promised, and the tests that keep it, is in docs/promises.md; every
// layer's measured error in docs/numerics.md; names and papers in
// docs/glossary.md.
//
// # Where things are
//
//	ssm, rwkv, linattn   the families of layers
//	lm                   whole language models: load, generate, save
//	nn                   what the layers share
//	scan, fft            the engines: recurrences and long convolution
//	tensor               tensors, their memory, gradients, states
//	hw                   what the processor can do, and which instructions are in use
//	examples, bench      programs to read and run, and comparisons to measure
//
// Kernels are chosen when the program starts, for the processor it runs on;
// the environment variable SUBQUAD_HW (portable, avx2, avx512, amx, neon) caps
// the choice, and the build tag purego leaves assembly out.
package subquad

import "github.com/subquad/subquad/nn"

// A Layer is what every family's layers are.
type Layer = nn.Layer
